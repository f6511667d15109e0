import Testing
import VolumePhantoms

struct PhantomCohortTests {}
