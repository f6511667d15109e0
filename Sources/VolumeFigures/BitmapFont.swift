/// A font of 5 x 7 pixels for short labels: English letters, digits, and the punctuation of file names.
enum BitmapFont {
    /// Width and height of a glyph.
    static let glyphWidth = 5
    static let glyphHeight = 7

    /// Pixels from one character to the next, including the gap.
    static let advance = glyphWidth + 1

    /// The rows of a character, each a mask with the leftmost pixel in bit 0. Characters that the font lacks are a box.
    static func rows(of character: Character) -> [UInt8] { glyphs[character] ?? box }

    /// Draws text with its top left corner at a column and a row, each pixel of the font `scale` pixels wide. Text beyond
    /// the edges of an image of a width and a height is clipped.
    static func draw(
        _ text: String, column: Int, row: Int, scale: Int, width: Int, height: Int, pixel: (Int, Int) -> Void
    ) {
        for (index, character) in text.enumerated() {
            for (line, mask) in rows(of: character).enumerated() {
                for bit in 0..<glyphWidth where mask >> bit & 1 == 1 {
                    let left = column + (index * advance + bit) * scale
                    let top = row + line * scale
                    for y in max(top, 0)..<max(top, 0, min(top + scale, height)) {
                        for x in max(left, 0)..<max(left, 0, min(left + scale, width)) { pixel(x, y) }
                    }
                }
            }
        }
    }

    private static let box: [UInt8] = [31, 17, 17, 17, 17, 17, 31]

    /// The glyphs: a line of characters, followed by seven lines of pixels, five columns and a gap for each.
    private static let sheets = [
        """
        A     B     C     D     E     F     G     H     I     J     K     L     M
         ###  ####   ###  ####  ##### #####  ###  #   #  ###     ## #   # #     #   #
        #   # #   # #   # #   # #     #     #   # #   #   #       # #  #  #     ## ##
        #   # #   # #     #   # #     #     #     #   #   #       # # #   #     # # #
        ##### ####  #     #   # ####  ####  # ### #####   #       # ##    #     # # #
        #   # #   # #     #   # #     #     #   # #   #   #       # # #   #     #   #
        #   # #   # #   # #   # #     #     #   # #   #   #   #   # #  #  #     #   #
        #   # ####   ###  ####  ##### #      ###  #   #  ###   ###  #   # ##### #   #
        """,
        """
        N     O     P     Q     R     S     T     U     V     W     X     Y     Z
        #   #  ###  ####   ###  ####   ###  ##### #   # #   # #   # #   # #   # #####
        ##  # #   # #   # #   # #   # #   #   #   #   # #   # #   # #   # #   #     #
        # # # #   # #   # #   # #   # #       #   #   # #   # #   #  # #   # #     #
        #  ## #   # ####  #   # ####   ###    #   #   # #   # # # #   #     #     #
        #   # #   # #     # # # # #       #   #   #   # #   # # # #  # #    #    #
        #   # #   # #     #  #  #  #  #   #   #   #   #  # #  ## ## #   #   #   #
        #   #  ###  #      ## # #   #  ###    #    ###    #   #   # #   #   #   #####
        """,
        """
        a     b     c     d     e     f     g     h     i     j     k     l     m
              #               #         ##        #       #     #   #      ##
              #               #        #          #                 #       #
         ###  # ##   ###   ## #  ###  ####   #### # ##   ##    ##   #  #    #   ## #
            # ##  # #     #  ## #   #  #    #   # ##  #   #     #   # #     #   # # #
         #### #   # #     #   # #####  #     #### #   #   #     #   ##      #   # # #
        #   # #   # #     #   # #      #        # #   #   #   # #   # #     #   # # #
         #### ####   ###   ####  ###   #     ###  #   #  ###   #    #  #   ###  #   #
        """,
        """
        n     o     p     q     r     s     t     u     v     w     x     y     z
                                             #
                                             #
        # ##   ###  ####   #### # ##   #### ####  #   # #   # #   # #   # #   # #####
        ##  # #   # #   # #   # ##  # #      #    #   # #   # #   #  # #  #   #    #
        #   # #   # ####   #### #      ###   #    #   # #   # # # #   #    ####   #
        #   # #   # #         # #         #  #    #  ##  # #  # # #  # #      #  #
        #   #  ###  #         # #     ####    ##   ## #   #    # #  #   #  ###  #####
        """,
        """
        0     1     2     3     4     5     6     7     8     9     .     ,     :
         ###    #    ###   ###     #  #####  ###  #####  ###   ###
        #   #  ##   #   # #   #   ##  #     #         # #   # #   #
        #  ##   #       #     #  # #  ####  #        #  #   # #   #               #
        # # #   #      #    ##  #  #      # ####     #   ###   ####
        ##  #   #     #       # #####     # #   #   #   #   #     #         ##
        #   #   #    #    #   #    #  #   # #   #   #   #   #     #   ##    ##    #
         ###   ###  #####  ###     #   ###   ###    #    ###   ###    ##   #
        """,
        """
        -     _     +     =     /     (     )     %     '     ?     !     #     *
                                   #    #    #    ##   #   ###    #    # #
                      #            #   #      #   ##  #   #   #   #    # #  # # #
                      #   #####   #   #        #     #        #   #   #####  ###
        #####       #####         #   #        #    #        #    #    # #  #####
                      #   #####  #    #        #   #        #     #   #####  ###
                      #          #     #      #   #  ##               # #  # # #
              #####             #       #    #       ##    #      #    # #
        """,
    ]

    private static let glyphs: [Character: [UInt8]] = {
        var glyphs: [Character: [UInt8]] = [" ": [UInt8](repeating: 0, count: glyphHeight)]
        for sheet in sheets {
            let lines = sheet.split(separator: "\n", omittingEmptySubsequences: false).map(Array.init)
            for start in stride(from: 0, to: lines[0].count, by: advance) {
                glyphs[lines[0][start]] = lines[1...glyphHeight].map { line in
                    (0..<glyphWidth).reduce(0) { mask, column in
                        let isSet = start + column < line.count && line[start + column] == "#"
                        return mask | (isSet ? 1 << column : 0)
                    }
                }
            }
        }
        return glyphs
    }()
}
