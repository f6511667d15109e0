import CNIfTI

extension nifti_2_header {
    /// The fields of a NIfTI-1 header, converted to the wider types of NIfTI-2.
    init(widening header: nifti_1_header) throws(VolumeIOError.Reason) {
        guard let offset = Int64(exactly: header.vox_offset) else {
            throw .invalidDataOffset(Double(header.vox_offset))
        }
        self.init()
        (datatype, bitpix, vox_offset) = (header.datatype, header.bitpix, offset)
        let d = header.dim
        dim = (
            Int64(d.0), Int64(d.1), Int64(d.2), Int64(d.3), Int64(d.4), Int64(d.5), Int64(d.6), Int64(d.7)
        )
        let p = header.pixdim
        pixdim = (
            Double(p.0), Double(p.1), Double(p.2), Double(p.3), Double(p.4), Double(p.5), Double(p.6),
            Double(p.7)
        )
        (scl_slope, scl_inter) = (Double(header.scl_slope), Double(header.scl_inter))
        (qform_code, sform_code) = (Int32(header.qform_code), Int32(header.sform_code))
        quatern_b = Double(header.quatern_b)
        quatern_c = Double(header.quatern_c)
        quatern_d = Double(header.quatern_d)
        qoffset_x = Double(header.qoffset_x)
        qoffset_y = Double(header.qoffset_y)
        qoffset_z = Double(header.qoffset_z)
        (srow_x, srow_y, srow_z) = (wide(header.srow_x), wide(header.srow_y), wide(header.srow_z))
        xyzt_units = Int32(header.xyzt_units)
        (descrip, aux_file) = (header.descrip, header.aux_file)
        (intent_p1, intent_p2, intent_p3) = (
            Double(header.intent_p1), Double(header.intent_p2), Double(header.intent_p3)
        )
        (intent_code, intent_name) = (Int32(header.intent_code), header.intent_name)
        (cal_max, cal_min) = (Double(header.cal_max), Double(header.cal_min))
        (slice_duration, toffset) = (Double(header.slice_duration), Double(header.toffset))
        (slice_start, slice_end) = (Int64(header.slice_start), Int64(header.slice_end))
        (slice_code, dim_info) = (Int32(header.slice_code), header.dim_info)
    }
}

extension nifti_1_header {
    /// The fields of a NIfTI-2 header, converted to the narrower types of NIfTI-1. Descriptive numbers that do not fit
    /// become zero.
    ///
    /// - Precondition: the extents fit 16 bits.
    init(narrowing header: nifti_2_header) {
        self.init()
        sizeof_hdr = Int32(MemoryLayout<nifti_1_header>.size)
        regular = CChar(UInt8(ascii: "r"))
        magic = (header.magic.0, header.magic.1, CChar(UInt8(ascii: "1")), 0)
        (datatype, bitpix, vox_offset) = (header.datatype, header.bitpix, Float(header.vox_offset))
        let d = header.dim
        dim = (
            Int16(d.0), Int16(d.1), Int16(d.2), Int16(d.3), Int16(d.4), Int16(d.5), Int16(d.6), Int16(d.7)
        )
        let p = header.pixdim
        pixdim = (
            Float(p.0), Float(p.1), Float(p.2), Float(p.3), Float(p.4), Float(p.5), Float(p.6), Float(p.7)
        )
        (scl_slope, scl_inter) = (Float(header.scl_slope), Float(header.scl_inter))
        qform_code = Int16(exactly: header.qform_code) ?? 0
        sform_code = Int16(exactly: header.sform_code) ?? 0
        quatern_b = Float(header.quatern_b)
        quatern_c = Float(header.quatern_c)
        quatern_d = Float(header.quatern_d)
        qoffset_x = Float(header.qoffset_x)
        qoffset_y = Float(header.qoffset_y)
        qoffset_z = Float(header.qoffset_z)
        (srow_x, srow_y, srow_z) = (narrow(header.srow_x), narrow(header.srow_y), narrow(header.srow_z))
        xyzt_units = CChar(truncatingIfNeeded: header.xyzt_units)
        (descrip, aux_file) = (header.descrip, header.aux_file)
        (intent_p1, intent_p2, intent_p3) = (
            Float(header.intent_p1), Float(header.intent_p2), Float(header.intent_p3)
        )
        (intent_code, intent_name) = (Int16(exactly: header.intent_code) ?? 0, header.intent_name)
        (slice_duration, toffset) = (Float(header.slice_duration), Float(header.toffset))
        slice_start = Int16(exactly: header.slice_start) ?? 0
        slice_end = Int16(exactly: header.slice_end) ?? 0
        slice_code = CChar(exactly: header.slice_code) ?? 0
        dim_info = header.dim_info
    }
}

private func wide(_ row: (Float, Float, Float, Float)) -> (Double, Double, Double, Double) {
    (Double(row.0), Double(row.1), Double(row.2), Double(row.3))
}

private func narrow(_ row: (Double, Double, Double, Double)) -> (Float, Float, Float, Float) {
    (Float(row.0), Float(row.1), Float(row.2), Float(row.3))
}
