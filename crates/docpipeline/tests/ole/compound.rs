//! A writer of compound files, as small as it can be: sectors of 512 bytes, all streams in the file itself.

const SECTOR: usize = 512;
const SMALL_SECTOR: usize = 64;
const CUTOFF: usize = 4096;
const END_OF_CHAIN: u32 = 0xffff_fffe;
const FAT_SECTOR: u32 = 0xffff_fffd;
const NONE: u32 = 0xffff_ffff;

/// A compound file with these streams.
pub(crate) fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut sectors = Chain::new(SECTOR);
    let mut small = Chain::new(SMALL_SECTOR);
    let places: Vec<u32> = streams
        .iter()
        .map(|(_, bytes)| if bytes.len() < CUTOFF { small.add(bytes) } else { sectors.add(bytes) })
        .collect();
    let small_table: Vec<u8> = small.next.iter().flat_map(|next| next.to_le_bytes()).collect();
    let first_small = sectors.add(&small.bytes);
    let first_of_table = sectors.add(&small_table);

    let mut directory = entry("Root Entry", 5, NONE, if streams.is_empty() { NONE } else { 1 });
    place(&mut directory, first_small, small.bytes.len());
    for (i, ((name, bytes), first)) in streams.iter().zip(&places).enumerate() {
        let next = if i + 1 < streams.len() { number(i + 2) } else { NONE };
        let mut raw = entry(name, 2, next, NONE);
        place(&mut raw, *first, bytes.len());
        directory.extend(raw);
    }
    let first_of_directory = sectors.add(&directory);

    let data = sectors.next.len();
    // The header lists no more than 109.
    let tables = (1..=109).find(|tables| (data + tables).div_ceil(SECTOR / 4) <= *tables);
    let tables = tables.unwrap_or(109);
    let mut next = sectors.next;
    next.resize(data + tables, FAT_SECTOR);
    next.resize(tables * SECTOR / 4, NONE);

    let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    file.resize(24, 0);
    for half in [0x3e_u16, 3, 0xfffe, 9, 6] {
        file.extend(half.to_le_bytes());
    }
    file.resize(44, 0);
    let small_tables = number(small_table.len().div_ceil(SECTOR));
    for word in [number(tables), first_of_directory, 0, 4096, first_of_table, small_tables, END_OF_CHAIN, 0] {
        file.extend(word.to_le_bytes());
    }
    let listed = (data..data + tables).map(number).chain(std::iter::repeat(NONE)).take(109);
    file.extend(listed.flat_map(u32::to_le_bytes));
    file.extend(sectors.bytes);
    file.extend(next.into_iter().flat_map(u32::to_le_bytes));
    file
}

struct Chain {
    size: usize,
    bytes: Vec<u8>,
    next: Vec<u32>,
}

impl Chain {
    fn new(size: usize) -> Self {
        Self { size, bytes: Vec::new(), next: Vec::new() }
    }

    /// Appends a stream, and gives its first sector.
    fn add(&mut self, stream: &[u8]) -> u32 {
        let first = self.next.len();
        let count = stream.len().div_ceil(self.size);
        if count == 0 {
            return END_OF_CHAIN;
        }
        self.bytes.extend(stream);
        self.bytes.resize((first + count) * self.size, 0);
        self.next.extend((first + 1..first + count).map(number).chain([END_OF_CHAIN]));
        number(first)
    }
}

fn entry(name: &str, kind: u8, right: u32, child: u32) -> Vec<u8> {
    let mut raw: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = raw.len() + 2;
    raw.resize(64, 0);
    raw.extend([length.to_le_bytes()[0], 0, kind, 1]);
    for id in [NONE, right, child] {
        raw.extend(id.to_le_bytes());
    }
    raw.resize(128, 0);
    raw
}

fn place(entry: &mut [u8], first: u32, size: usize) {
    entry[116..120].copy_from_slice(&first.to_le_bytes());
    entry[120..128].copy_from_slice(&(size as u64).to_le_bytes());
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}
