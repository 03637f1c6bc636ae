//! What C reads inside an opaque object, in place.

/// Text in UTF-8. There is no zero byte at its end: print it with `printf("%.*s", (int)text.size, text.data)`.
///
/// Valid until the object it was read from is freed.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct sealwire_text {
    /// The first byte; not NULL.
    pub data: *const core::ffi::c_char,
    /// How many bytes.
    pub size: usize,
}

/// Bytes. Valid until the object they were read from is freed.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct sealwire_bytes {
    /// The first byte; not NULL.
    pub data: *const u8,
    /// How many bytes.
    pub size: usize,
}

impl From<&str> for sealwire_text {
    fn from(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), size: text.len() }
    }
}

impl From<&[u8]> for sealwire_bytes {
    fn from(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), size: bytes.len() }
    }
}
