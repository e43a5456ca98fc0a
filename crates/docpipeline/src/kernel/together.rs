//! How to bring together those of eight bytes that are kept.

/// For each set of bits in a byte: the places of the set ones, for the instructions that pick bytes by their place;
/// 0x80 picks none.
pub(super) static TOGETHER: [[u8; 8]; 256] = {
    let mut table = [[0x80; 8]; 256];
    let mut keep = 0;
    while keep < 256 {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            if keep >> from & 1 == 1 {
                // Both indexes are below the lengths by the conditions of the loops.
                #[allow(clippy::indexing_slicing)]
                {
                    table[keep][to] = from;
                }
                to += 1;
            }
            from += 1;
        }
        keep += 1;
    }
    table
};
