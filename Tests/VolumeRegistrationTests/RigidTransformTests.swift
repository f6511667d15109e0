import Foundation
import TestSupport
import Testing

@testable import VolumeRegistration

struct RigidTransformTests {
    @Test func identity() { #expect(RigidTransform.identity([1, 2, 3]) == [1, 2, 3]) }
}
