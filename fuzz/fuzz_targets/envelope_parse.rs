//! Whatever the bytes: reading them does not panic, and what is read is the one way to write that envelope.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwire::{Claims, Envelope};

/// All that is the same in each envelope, up to the length of its ciphertext (SPEC.md, "Envelope").
const HEAD: &[u8] = b"\xd8\x60\x84\x58\x1a\xa2\x01\x18\x18\x10\x74application/sealwire\xa1\x05\x4c\0\0\0\0\0\0\0\0\0\0\0\0";

fuzz_target!(|bytes: &[u8]| {
    let Ok(envelope) = Envelope::parse(bytes.to_vec()) else { return };
    assert!(envelope.as_bytes() == bytes, "what was read is not what is given");
    assert!(written(&envelope, bytes).as_deref() == Some(bytes), "another way to write it was read");
    assert!(envelope.into_bytes() == bytes, "what was read is not what is given");
});

/// The envelope as its sender writes it: everything but ciphertext, encapsulated key, wrapped key and salt follows from what it claims.
fn written(envelope: &Envelope, bytes: &[u8]) -> Option<Vec<u8>> {
    let recipient = match envelope.claims() {
        Claims::Opening(id) => {
            let (rest, wrapped) = bytes.split_last_chunk::<48>()?;
            let (_, encapsulated) = rest.get(..rest.len().checked_sub(2)?)?.split_last_chunk::<1120>()?;
            let protected = [b"\x81\x83\x58\x19\xa2\x01\x3a\x00\x01\x01\x6c\x04\x50", id.as_bytes().as_slice()].concat();
            [&protected, b"\xa1\x23\x59\x04\x60".as_slice(), encapsulated, b"\x58\x30", wrapped].concat()
        }
        Claims::Lane(id) => {
            let (_, salt) = bytes.get(..bytes.len().checked_sub(1)?)?.split_last_chunk::<32>()?;
            [b"\x81\x83\x43\xa1\x01\x29\xa2\x04\x50".as_slice(), id.as_bytes(), b"\x33\x58\x20", salt, b"\x40"].concat()
        }
        _ => return None,
    };
    let middle = bytes.len().checked_sub(HEAD.len() + recipient.len())?;
    let length = [1, 2, 3, 5].into_iter().find_map(|header| {
        let length = middle.checked_sub(header)?;
        (byte_string(length).len() == header).then_some(length)
    })?;
    let ciphertext = bytes.get(HEAD.len() + middle - length..HEAD.len() + middle)?;
    Some([HEAD, &byte_string(length), ciphertext, &recipient].concat())
}

/// The header of a byte string, in its shortest form.
fn byte_string(length: usize) -> Vec<u8> {
    match length {
        0..=23 => vec![0x40 | length as u8],
        24..=0xff => vec![0x58, length as u8],
        0x100..=0xffff => [&[0x59], (length as u16).to_be_bytes().as_slice()].concat(),
        _ => [&[0x5a], (length as u32).to_be_bytes().as_slice()].concat(),
    }
}
