//! [`sealwire_sealed`] and [`sealwire_envelope`]: what travels.

use sealwire::{Claims, Envelope, Form};

use crate::{
    header::sealwire_header,
    pointer::{Output, bytes, free, read},
    result::{Failure, guard, sealwire_result},
    view::sealwire_bytes,
};

/// Which of its two forms an envelope has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum sealwire_form {
    /// Sealed for a receive key.
    Opening = 1,
    /// Sealed in a lane that an opening has set up.
    Lane = 2,
}

impl From<Form> for sealwire_form {
    fn from(form: Form) -> Self {
        match form {
            Form::Opening => Self::Opening,
            Form::Lane => Self::Lane,
        }
    }
}

/// An envelope that was sealed here, and what was signed in it.
pub struct sealwire_sealed {
    pub(crate) envelope: Envelope,
    pub(crate) header: sealwire_header,
}

/// The bytes that travel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_sealed_envelope(sealed: *const sealwire_sealed, envelope: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(sealed, "sealed", envelope, |sealed| Ok(sealed.envelope.as_bytes().into())) }
}

/// What was signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_sealed_header(sealed: *const sealwire_sealed, header: *mut *const sealwire_header) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(sealed, "sealed", header, |sealed| Ok(&raw const sealed.header)) }
}

/// Frees what `sealwire_endpoint_seal` made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_sealed_free(sealed: *mut sealwire_sealed) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(sealed, "sealed") }
}

/// An envelope as anyone sees it, who has no key: routing, never a decision.
pub struct sealwire_envelope {
    form: Form,
    key: [u8; 16],
}

/// Reads the outside of an envelope, strictly. Free it with `sealwire_envelope_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_envelope_new(wire: *const u8, size: usize, envelope: *mut *mut sealwire_envelope) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (wire, envelope) = unsafe { (bytes(wire, size, "wire")?, Output::new(envelope, "envelope")?) };
        let parsed = Envelope::parse(wire.into())?;
        let key = match parsed.claims() {
            Claims::Opening(key) => *key.as_bytes(),
            Claims::Lane(lane) => *lane.as_bytes(),
            _ => return Err(Failure::new(sealwire_result::Other, "an envelope of a form that this interface does not know")),
        };
        envelope.give(sealwire_envelope { form: parsed.form(), key });
        Ok(())
    })
}

/// Its form.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_envelope_form(envelope: *const sealwire_envelope, form: *mut sealwire_form) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(envelope, "envelope", form, |envelope| Ok(envelope.form.into())) }
}

/// The name of the receive key, or of the lane, that it is sealed for: 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_envelope_key(envelope: *const sealwire_envelope, key: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(envelope, "envelope", key, |envelope| Ok(envelope.key.as_slice().into())) }
}

/// Frees what `sealwire_envelope_new` made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_envelope_free(envelope: *mut sealwire_envelope) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(envelope, "envelope") }
}
