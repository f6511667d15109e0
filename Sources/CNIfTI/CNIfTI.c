// The module is headers alone; the package manager asks for one source file.
