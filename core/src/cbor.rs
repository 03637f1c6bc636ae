//! Deterministic CBOR (RFC 8949, section 4.2.1): one way to write each value, and only that way is read.
//!
//! Headers are written and read by `ciborium-ll`. What it lets through and this profile does not (longer forms of a number, indefinite
//! lengths, floats, unsorted or repeated map keys, trailing bytes, deep nesting) is refused by [`check`] before anything is decoded.

use ciborium_ll::{Decoder, Encoder, Header};
use core::ops::Range;

/// Nesting allowed in any structure. The deepest one, a certificate inside a signed part, needs 6; two more leave room to grow.
pub(crate) const MAX_DEPTH: usize = 8;

/// Items read of any structure: what the largest roster holds. It bounds the time that hostile bytes cost, which is by items, not by bytes.
const MAX_ITEMS: usize = 1 << 18;

/// Why bytes are not the CBOR this profile allows, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong, in words.
    pub what: &'static str,
    /// Offset of the item, in bytes from the start of the input.
    pub offset: usize,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

/// Checks that `input` is exactly one deterministic CBOR item, nested at most [`MAX_DEPTH`] deep.
pub(crate) fn check(input: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader { input, offset: 0 };
    let mut items = MAX_ITEMS;
    check_item(&mut reader, 0, &mut items)?;
    reader.end()
}

fn check_item(reader: &mut Reader<'_>, depth: usize, items: &mut usize) -> Result<(), Malformed> {
    let start = reader.offset;
    *items = items.checked_sub(1).ok_or_else(|| reader.malformed("more than 262144 items", start))?;
    if depth > MAX_DEPTH {
        return Err(reader.malformed("nested deeper than 8 levels", start));
    }
    match reader.pull()? {
        Header::Bytes(Some(length)) => reader.take(length).map(drop),
        Header::Text(Some(length)) => {
            let text = reader.take(length)?;
            core::str::from_utf8(text).map(drop).map_err(|_| reader.malformed("text that is not UTF-8", start))
        }
        Header::Array(Some(count)) => (0..count).try_for_each(|_| check_item(reader, depth + 1, items)),
        Header::Map(Some(count)) => check_map(reader, count, depth + 1, items),
        Header::Tag(_) => check_item(reader, depth + 1, items),
        _ => Ok(()),
    }
}

fn check_map(reader: &mut Reader<'_>, count: usize, depth: usize, items: &mut usize) -> Result<(), Malformed> {
    let mut previous: Option<Range<usize>> = None;
    for _ in 0..count {
        let start = reader.offset;
        check_item(reader, depth, items)?;
        let key = start..reader.offset;
        let input = reader.input;
        if let Some(previous) = previous
            && input.get(previous) >= input.get(key.clone())
        {
            return Err(reader.malformed("map key repeated or out of order", start));
        }
        previous = Some(key);
        check_item(reader, depth, items)?;
    }
    Ok(())
}

/// Reads items whose shape the caller knows. Types are checked here, the rest by [`check`], which comes first.
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `input`, after [`check`]ing it.
    pub(crate) fn new(input: &'a [u8]) -> Result<Self, Malformed> {
        check(input)?;
        Ok(Self { input, offset: 0 })
    }

    fn malformed(&self, what: &'static str, offset: usize) -> Malformed {
        Malformed { what, offset }
    }

    /// An error about the item that was read last or is about to be.
    pub(crate) fn expected(&self, what: &'static str) -> Malformed {
        self.malformed(what, self.offset)
    }

    /// The next header, refused unless it is in its shortest form and of a kind this profile uses.
    fn pull(&mut self) -> Result<Header, Malformed> {
        let start = self.offset;
        let rest = self.input.get(start..).unwrap_or_default();
        let mut decoder = Decoder::from(rest);
        let header = decoder.pull().map_err(|error| match error {
            ciborium_ll::Error::Io(_) => self.malformed("input ends inside an item", start),
            ciborium_ll::Error::Syntax(_) => self.malformed("not CBOR", start),
        })?;
        let length = decoder.offset();
        match header {
            Header::Float(_) => return Err(self.malformed("floating-point number", start)),
            Header::Simple(simple) if simple != ciborium_ll::simple::NULL => {
                return Err(self.malformed("simple value other than null", start));
            }
            Header::Break | Header::Bytes(None) | Header::Text(None) | Header::Array(None) | Header::Map(None) => {
                return Err(self.malformed("indefinite length", start));
            }
            _ => {}
        }
        if length != header_length(header) {
            return Err(self.malformed("number not in its shortest form", start));
        }
        self.offset = start + length;
        Ok(header)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.offset.checked_add(length);
        let bytes = end.and_then(|end| self.input.get(self.offset..end));
        let bytes = bytes.ok_or_else(|| self.malformed("input ends inside a string", self.offset))?;
        self.offset += length;
        Ok(bytes)
    }

    /// Where the next item starts.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The input from `start` to here, as received.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.input.get(start..self.offset).unwrap_or_default()
    }

    pub(crate) fn array(&mut self, count: usize, what: &'static str) -> Result<(), Malformed> {
        let start = self.offset;
        match self.pull()? {
            Header::Array(Some(found)) if found == count => Ok(()),
            _ => Err(self.malformed(what, start)),
        }
    }

    /// The number of items of an array that has at most `limit`.
    pub(crate) fn array_up_to(&mut self, limit: usize, what: &'static str) -> Result<usize, Malformed> {
        let start = self.offset;
        match self.pull()? {
            Header::Array(Some(found)) if found <= limit => Ok(found),
            _ => Err(self.malformed(what, start)),
        }
    }

    /// Reads a map with whole-number labels, calling `entry` with each; a label it does not know it must refuse.
    pub(crate) fn map(
        &mut self,
        what: &'static str,
        mut entry: impl FnMut(&mut Self, i64) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let start = self.offset;
        let Header::Map(Some(count)) = self.pull()? else {
            return Err(self.malformed(what, start));
        };
        for _ in 0..count {
            let label = self.int(what)?;
            entry(self, label)?;
        }
        Ok(())
    }

    pub(crate) fn tag(&mut self, tag: u64, what: &'static str) -> Result<(), Malformed> {
        let start = self.offset;
        match self.pull()? {
            Header::Tag(found) if found == tag => Ok(()),
            _ => Err(self.malformed(what, start)),
        }
    }

    pub(crate) fn null(&mut self, what: &'static str) -> Result<(), Malformed> {
        let start = self.offset;
        match self.pull()? {
            Header::Simple(ciborium_ll::simple::NULL) => Ok(()),
            _ => Err(self.malformed(what, start)),
        }
    }

    pub(crate) fn uint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let start = self.offset;
        match self.pull()? {
            Header::Positive(value) => Ok(value),
            _ => Err(self.malformed(what, start)),
        }
    }

    pub(crate) fn int(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let start = self.offset;
        let value = match self.pull()? {
            Header::Positive(value) => i64::try_from(value).ok(),
            Header::Negative(value) => i64::try_from(value).ok().map(|value| !value),
            _ => None,
        };
        value.ok_or_else(|| self.malformed(what, start))
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let start = self.offset;
        match self.pull()? {
            Header::Bytes(Some(length)) => self.take(length),
            _ => Err(self.malformed(what, start)),
        }
    }

    pub(crate) fn bytes_of<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let start = self.offset;
        self.bytes(what)?.try_into().map_err(|_| self.malformed(what, start))
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        let start = self.offset;
        match self.pull()? {
            Header::Text(Some(length)) => {
                core::str::from_utf8(self.take(length)?).map_err(|_| self.malformed("text that is not UTF-8", start))
            }
            _ => Err(self.malformed(what, start)),
        }
    }

    /// Passes over the next item, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        let mut items = MAX_ITEMS;
        check_item(self, 0, &mut items)
    }

    /// That nothing follows.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.offset == self.input.len() { Ok(()) } else { Err(self.expected("trailing bytes")) }
    }
}

/// Writes items in their shortest form. The caller keeps map labels in order; [`check`] in each writer's test watches over that.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    fn push(&mut self, header: Header) -> &mut Self {
        let Ok(()) = Encoder::from(&mut self.0).push(header);
        self
    }

    pub(crate) fn array(&mut self, count: usize) -> &mut Self {
        self.push(Header::Array(Some(count)))
    }

    pub(crate) fn map(&mut self, count: usize) -> &mut Self {
        self.push(Header::Map(Some(count)))
    }

    pub(crate) fn tag(&mut self, tag: u64) -> &mut Self {
        self.push(Header::Tag(tag))
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.push(Header::Simple(ciborium_ll::simple::NULL))
    }

    pub(crate) fn uint(&mut self, value: u64) -> &mut Self {
        self.push(Header::Positive(value))
    }

    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        match u64::try_from(value) {
            Ok(value) => self.push(Header::Positive(value)),
            Err(_) => self.push(Header::Negative((!value).unsigned_abs())),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes_header(bytes.len()).raw(bytes)
    }

    /// The header of a byte string whose content follows by [`Writer::raw`].
    pub(crate) fn bytes_header(&mut self, length: usize) -> &mut Self {
        self.push(Header::Bytes(Some(length)))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.push(Header::Text(Some(text.len()))).raw(text.as_bytes())
    }

    /// Bytes that are CBOR already, or the content announced by [`Writer::bytes_header`].
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What was written from `start` on, to be encrypted in place.
    pub(crate) fn tail_mut(&mut self, start: usize) -> &mut [u8] {
        self.0.get_mut(start..).unwrap_or_default()
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }
}

/// Length in bytes of a header that carries the number `value` (RFC 8949, section 3).
pub(crate) fn number_length(value: u64) -> usize {
    match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

fn header_length(header: Header) -> usize {
    match header {
        Header::Positive(value) | Header::Negative(value) | Header::Tag(value) => number_length(value),
        Header::Bytes(Some(length)) | Header::Text(Some(length)) | Header::Array(Some(length)) | Header::Map(Some(length)) => {
            number_length(length as u64)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> &'static str {
        check(bytes).expect_err("must be refused").what
    }

    #[test]
    fn each_forbidden_form_is_refused_by_name() {
        assert_eq!(refusal(&[]), "input ends inside an item");
        assert_eq!(refusal(&[0x1c]), "not CBOR");
        assert_eq!(refusal(&[0x18, 0x17]), "number not in its shortest form");
        assert_eq!(refusal(&[0x59, 0x00, 0x01, 0x00]), "number not in its shortest form");
        assert_eq!(refusal(&[0x9f, 0xff]), "indefinite length");
        assert_eq!(refusal(&[0x5f, 0x41, 0x00, 0xff]), "indefinite length");
        assert_eq!(refusal(&[0xf9, 0x00, 0x00]), "floating-point number");
        assert_eq!(refusal(&[0xf5]), "simple value other than null");
        assert_eq!(refusal(&[0xf8, 0x16]), "number not in its shortest form");
        assert_eq!(refusal(&[0xa2, 0x01, 0x00, 0x01, 0x00]), "map key repeated or out of order");
        assert_eq!(refusal(&[0xa2, 0x04, 0x00, 0x01, 0x00]), "map key repeated or out of order");
        assert_eq!(refusal(&[0x61, 0xff]), "text that is not UTF-8");
        assert_eq!(refusal(&[0x00, 0x00]), "trailing bytes");
        assert_eq!(refusal(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "input ends inside a string");
        assert_eq!(refusal(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "input ends inside an item");
        assert_eq!(refusal(&[0x81; 64]), "nested deeper than 8 levels");
        let many = [[0x9a, 0, 4, 0, 1].as_slice(), &[0; 1 << 19]].concat();
        assert_eq!(refusal(&many), "more than 262144 items");
    }

    #[test]
    fn what_is_written_is_deterministic_and_read_back() -> Result<(), Malformed> {
        let mut writer = Writer::default();
        writer.map(3).int(1).int(-19).int(258).bytes(b"xyz").int(-65800).array(2).text("a").null();
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes)?;
        let mut seen = Vec::new();
        reader.map("map", |reader, label| {
            seen.push(label);
            match label {
                1 => reader.int("int").map(|value| assert_eq!(value, -19)),
                258 => reader.bytes("bytes").map(|value| assert_eq!(value, b"xyz")),
                _ => {
                    reader.array(2, "array")?;
                    reader.text("text").map(|value| assert_eq!(value, "a"))?;
                    reader.null("null")
                }
            }
        })?;
        assert_eq!(seen, [1, 258, -65800]);
        reader.end()
    }

    #[test]
    fn integers_keep_their_value() -> Result<(), Malformed> {
        for value in [0, 23, 24, 255, 256, 65_535, 65_536, i64::MAX, -1, -24, -25, -65_901, i64::MIN] {
            let bytes = Writer::default().int(value).finish();
            assert_eq!(Reader::new(&bytes)?.int("int")?, value);
        }
        Ok(())
    }
}
