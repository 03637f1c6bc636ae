//! What several targets use: a clock that they set, and changes to genuine bytes.

pub use sealwire_tests::prescribed::Hands;

/// `genuine` after a list of changes, four bytes each: what to do, where (two bytes), with which byte. Parts of `other` may take the place of
/// its own. Random bytes alone would never get past the first check.
pub fn changed(genuine: &[u8], changes: &[u8], other: &[u8]) -> Vec<u8> {
    changes.chunks_exact(4).fold(genuine.to_vec(), |bytes, change| once(bytes, change, other))
}

fn once(mut bytes: Vec<u8>, change: &[u8], other: &[u8]) -> Vec<u8> {
    let &[what, high, low, with] = change else { return bytes };
    if bytes.is_empty() {
        return bytes;
    }
    let at = usize::from(u16::from_be_bytes([high, low])) % bytes.len();
    let end = bytes.len().min(at + usize::from(with));
    match what % 6 {
        0 => bytes[at] ^= with,
        1 => bytes[at] = with,
        2 => bytes.insert(at, with),
        3 => drop(bytes.drain(at..end)),
        4 => bytes.truncate(at),
        _ => {
            let end = end.min(other.len());
            if at < end {
                bytes[at..end].copy_from_slice(&other[at..end]);
            }
        }
    }
    bytes
}
