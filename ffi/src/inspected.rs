//! [`sealwire_inspected`]: an envelope that was looked into without being opened.

use sealwire::Inspected;

use crate::{
    envelope::sealwire_form,
    header::sealwire_header,
    pointer::{free, read},
    result::{Failure, sealwire_result},
    view::{sealwire_bytes, sealwire_text},
};

/// What an envelope holds: authentic and for the reader it names, but perhaps too old, revoked or opened before. For the one who must see what
/// an envelope is, never for agents.
pub struct sealwire_inspected {
    inspected: Inspected,
    header: sealwire_header,
    objections: Vec<(sealwire_result, String)>,
}

impl From<Inspected> for sealwire_inspected {
    fn from(inspected: Inspected) -> Self {
        let header = sealwire_header(inspected.header().clone());
        let objections = inspected.objections().iter().map(|objection| (objection.into(), objection.to_string())).collect();
        Self { inspected, header, objections }
    }
}

/// Why an envelope would not be opened now. Valid until what it was read from is freed.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct sealwire_objection {
    /// How `sealwire_endpoint_open` would end.
    pub result: sealwire_result,
    /// The same in words.
    pub text: sealwire_text,
}

/// The body.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_body(inspected: *const sealwire_inspected, body: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(inspected, "inspected", body, |inspected| Ok(inspected.inspected.body().into())) }
}

/// What the author signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_header(
    inspected: *const sealwire_inspected,
    header: *mut *const sealwire_header,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(inspected, "inspected", header, |inspected| Ok(&raw const inspected.header)) }
}

/// The author's key in full, as SHA-256 of it: 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_signer(inspected: *const sealwire_inspected, signer: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(inspected, "inspected", signer, |inspected| Ok(inspected.inspected.signer().as_bytes().as_slice().into())) }
}

/// The form of the envelope.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_form(inspected: *const sealwire_inspected, form: *mut sealwire_form) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(inspected, "inspected", form, |inspected| Ok(inspected.inspected.form().into())) }
}

/// How many reasons there are for which it would not be opened now, policy aside. None: it would.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_objection_count(inspected: *const sealwire_inspected, count: *mut usize) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(inspected, "inspected", count, |inspected| Ok(inspected.objections.len())) }
}

/// One of these reasons, counted from 0. `SEALWIRE_RESULT_ABSENT` past the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_objection(
    inspected: *const sealwire_inspected,
    index: usize,
    objection: *mut sealwire_objection,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe {
        read(inspected, "inspected", objection, |inspected| {
            let objection = inspected.objections.get(index).ok_or(Failure::absent("there are not that many objections"))?;
            Ok(sealwire_objection { result: objection.0, text: objection.1.as_str().into() })
        })
    }
}

/// Frees what `sealwire_endpoint_inspect` made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_free(inspected: *mut sealwire_inspected) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(inspected, "inspected") }
}
