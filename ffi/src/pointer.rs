//! Pointers of C, checked as far as they can be: NULL, length, UTF-8. That they point to something is for the caller to keep to.

use core::{
    ffi::{CStr, c_char},
    ptr::NonNull,
    slice,
};

use crate::result::{Failure, guard, sealwire_result};

/// Where a result goes: not NULL, and written at most once, at the end.
pub(crate) struct Output<T>(NonNull<T>);

impl<T> Output<T> {
    /// # Safety
    /// `pointer` is NULL or valid for writing one `T`, until [`Output::set`] was called.
    pub(crate) unsafe fn new(pointer: *mut T, what: &'static str) -> Result<Self, Failure> {
        NonNull::new(pointer).map(Self).ok_or(Failure::null(what))
    }

    /// Writes the result. What was there is not dropped: it is the caller's.
    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` was promised that it is valid for writing.
        unsafe { self.0.write(value) }
    }
}

impl<T> Output<*mut T> {
    /// Hands a new object to C, which frees it.
    pub(crate) fn give(self, value: T) {
        self.set(Box::into_raw(Box::new(value)));
    }
}

/// What an input points to.
///
/// # Safety
/// `pointer` is NULL or valid for reading for as long as `'a`.
pub(crate) unsafe fn input<'a, T>(pointer: *const T, what: &'static str) -> Result<&'a T, Failure> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or(Failure::null(what))
}

/// What an object that is to be changed points to.
///
/// # Safety
/// `pointer` is NULL or valid for reading and writing for as long as `'a`, and nobody else uses it meanwhile.
pub(crate) unsafe fn changed<'a, T>(pointer: *mut T, what: &'static str) -> Result<&'a mut T, Failure> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_mut() }.ok_or(Failure::null(what))
}

/// Text that ends with a zero byte, in UTF-8.
///
/// # Safety
/// `pointer` is NULL or points to such text, which stays as it is for as long as `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &'static str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: not NULL; the rest as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::new(sealwire_result::NotUtf8, format!("`{what}` is not UTF-8")))
}

/// Bytes with their number. NULL is an error even for none.
///
/// # Safety
/// `pointer` is NULL or valid for reading `size` bytes, which stay as they are for as long as `'a`.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, size: usize, what: &'static str) -> Result<&'a [u8], Failure> {
    if pointer.is_null() {
        return Err(Failure::null(what));
    }
    if isize::try_from(size).is_err() {
        return Err(Failure::new(sealwire_result::BadLength, format!("`{what}` cannot be {size} bytes long")));
    }
    // SAFETY: not NULL and of a length that can be; the rest as the caller promises.
    Ok(unsafe { slice::from_raw_parts(pointer, size) })
}

/// Exactly `N` bytes.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn array<const N: usize>(pointer: *const u8, size: usize, what: &'static str) -> Result<[u8; N], Failure> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { self::bytes(pointer, size, what) }?;
    bytes.try_into().map_err(|_| Failure::new(sealwire_result::BadLength, format!("`{what}` is {N} bytes long, not {size}")))
}

/// A buffer of the caller for text of up to `least - 1` bytes and a zero byte.
pub(crate) struct Buffer {
    start: NonNull<c_char>,
    capacity: usize,
}

impl Buffer {
    /// # Safety
    /// `pointer` is NULL or valid for writing `capacity` bytes, until the buffer was written.
    pub(crate) unsafe fn new(pointer: *mut c_char, capacity: usize, least: usize, what: &'static str) -> Result<Self, Failure> {
        let start = NonNull::new(pointer).ok_or(Failure::null(what))?;
        if capacity < least {
            let text = format!("`{what}` takes {capacity} bytes, but {least} are needed");
            return Err(Failure::new(sealwire_result::BadLength, text));
        }
        Ok(Self { start, capacity })
    }

    /// Writes text and a zero byte; what does not fit is cut off, at a character.
    pub(crate) fn write(self, text: &str) {
        let text = text.get(..text.floor_char_boundary(self.capacity.saturating_sub(1))).unwrap_or_default();
        // SAFETY: `new` was promised room for `capacity` bytes, which is 1 at least; `text` is shorter, and not in the caller's buffer.
        unsafe {
            self.start.cast::<u8>().copy_from_nonoverlapping(NonNull::from(text.as_bytes()).cast(), text.len());
            self.start.add(text.len()).write(0);
        }
    }
}

/// A function that reads one thing in an object.
///
/// # Safety
/// `object` is NULL or valid for reading for as long as `'a`, and `output` is NULL or valid for writing.
pub(crate) unsafe fn read<'a, T: 'a, V>(
    object: *const T,
    what: &'static str,
    output: *mut V,
    value: impl FnOnce(&'a T) -> Result<V, Failure>,
) -> sealwire_result {
    guard(|| {
        // SAFETY: as the caller promises.
        let (object, output) = unsafe { (input(object, what)?, Output::new(output, "output")?) };
        output.set(value(object)?);
        Ok(())
    })
}

/// A function that frees what [`Output::give`] handed out.
///
/// # Safety
/// `pointer` is NULL or came from [`Output::give`] with the same `T`, and is not used any more.
pub(crate) unsafe fn free<T>(pointer: *mut T, what: &'static str) -> sealwire_result {
    guard(|| {
        let pointer = NonNull::new(pointer).ok_or(Failure::null(what))?;
        // SAFETY: as the caller promises, it came from `Box::into_raw` and is not used any more.
        drop(unsafe { Box::from_raw(pointer.as_ptr()) });
        Ok(())
    })
}
