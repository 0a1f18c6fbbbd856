//! Pickles, bare or in a zip: told by their marks, never loaded.

use std::io::{self, Read, Seek, SeekFrom};

use super::Format;

/// How much of a zip's end is searched for its directory, and how much of that directory is read.
const END_BYTES_MAX: u64 = (64 << 10) + 22;
const DIRECTORY_BYTES_MAX: u64 = 4 << 20;

/// Says whether the bytes begin as a pickle does: protocol 2 to 5, or the text of protocol 0 and 1.
pub(super) fn is_pickle(start: &[u8]) -> bool {
    let framed = matches!(start, [0x80, 2..=5, rest @ ..] if rest.first().is_none_or(|it| is_opcode(*it)));
    // Protocol 0 names the module and the function that it calls, each on a line: `cos\nsystem\n`.
    let calls = match start.strip_prefix(b"c").or_else(|| start.strip_prefix(b"(c")) {
        Some(rest) => rest.split(|it| *it == b'\n').take(2).filter(|it| is_name(it)).count() == 2,
        None => false,
    };
    let collects = start.starts_with(b"(dp0\n") || start.starts_with(b"(lp0\n") || start.starts_with(b"}q\0");
    framed || calls || collects
}

/// Tells a zip that `torch.save` wrote from another one, by the names in its directory.
pub(super) fn zip_kind(file: &mut (impl Read + Seek), size_bytes: u64) -> io::Result<Format> {
    let end_bytes = END_BYTES_MAX.min(size_bytes);
    let end = read_at(file, size_bytes - end_bytes, end_bytes)?;
    let Some(at) = end.windows(4).rposition(|it| it == b"PK\x05\x06") else { return Ok(Format::Zip) };
    let number = |from: usize| {
        let bytes = end.get(at + from..at + from + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_le_bytes(bytes)))
    };
    let (Some(length), Some(start)) = (number(12), number(16)) else { return Ok(Format::Zip) };
    // A zip of 4 GiB or more says so and names its directory elsewhere; it stands right before the end then too.
    let is_large = start == u64::from(u32::MAX) || length == u64::from(u32::MAX);
    let directory =
        if is_large { end[..at].to_vec() } else { read_at(file, start, length.min(DIRECTORY_BYTES_MAX))? };
    let has_pickle = names(&directory).any(|it| it.ends_with(b".pkl") || it.ends_with(b".pickle"));
    let is_pickled = has_pickle || directory.windows(9).any(|it| it == b"/data.pkl");
    Ok(if is_pickled { Format::PytorchZip } else { Format::Zip })
}

/// Goes through the names in a zip's directory.
fn names(directory: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = directory;
    std::iter::from_fn(move || {
        let entry = rest.strip_prefix(b"PK\x01\x02")?;
        let length =
            |at: usize| Some(usize::from(u16::from_le_bytes([*entry.get(at)?, *entry.get(at + 1)?])));
        let (name, extra, comment) = (length(24)?, length(26)?, length(28)?);
        let found = entry.get(42..42 + name)?;
        rest = entry.get(42 + name + extra + comment..)?;
        Some(found)
    })
}

fn read_at(file: &mut (impl Read + Seek), start: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The opcodes that a pickle of protocol 2 or later can begin with.
fn is_opcode(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b'}'
            | b']'
            | b')'
            | b'c'
            | b'K'
            | b'X'
            | b'U'
            | b'J'
            | b'M'
            | b'N'
            | b'G'
            | b'h'
            | b'l'
            | b'd'
    ) || matches!(byte, 0x88..=0x97 | b'C' | b'B' | b'T' | b'V' | b'I' | b'F' | b'L' | b'S')
}

fn is_name(line: &[u8]) -> bool {
    !line.is_empty() && line.iter().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pickles_of_every_protocol_are_known_and_text_is_not_one() {
        for pickle in [&b"\x80\x02}q\0."[..], b"\x80\x05\x95\0", b"cos\nsystem\n(S'id'\ntR.", b"(dp0\n."] {
            assert!(is_pickle(pickle), "{pickle:?}");
        }
        for other in [&b"check this\nand that\n"[..], b"c", b"", b"{\"a\": 1}", b"\x80\x07"] {
            assert!(!is_pickle(other), "{other:?}");
        }
    }

    #[test]
    fn a_zip_is_told_by_the_names_in_its_directory() {
        let zip = |name: &[u8]| {
            let mut entry = b"PK\x01\x02".to_vec();
            entry.resize(46, 0);
            entry[28] = u8::try_from(name.len()).unwrap();
            entry.extend(name);
            let mut bytes = b"PK\x03\x04".to_vec();
            bytes.extend(&entry);
            bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
            bytes.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
            bytes.extend([4, 0, 0, 0, 0, 0]);
            bytes
        };
        let kind = |bytes: &[u8]| zip_kind(&mut io::Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert_eq!(kind(&zip(b"archive/data.pkl")), Format::PytorchZip);
        assert_eq!(kind(&zip(b"weights/a.npy")), Format::Zip);
        assert_eq!(kind(b"PK\x03\x04"), Format::Zip);
    }
}
