//! [`sealwire_inspected`]: an envelope that was looked into without being opened; and [`sealwire_inspector`], which can do nothing else.

use core::ffi::c_char;

use sealwire::{Endpoint, Envelope, Home, Inspected, Inspector};

use crate::{
    envelope::sealwire_form,
    header::sealwire_header,
    pointer::{Output, bytes, free, input, read, text},
    result::{Failure, guard, sealwire_result},
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

/// Frees what `sealwire_endpoint_inspect` or `sealwire_inspector_inspect` made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspected_free(inspected: *mut sealwire_inspected) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(inspected, "inspected") }
}

/// Looks into envelopes with the keys of a home and can do nothing else: nothing in the home changes by it. Only openings; the keys of lanes are in
/// the memory of the process that reads them.
pub struct sealwire_inspector(Inspector);

/// Makes an inspector with the home in the folder `home`, which must be there. Free it with `sealwire_inspector_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspector_new(home: *const c_char, inspector: *mut *mut sealwire_inspector) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (home, inspector) = unsafe { (text(home, "home")?, Output::new(inspector, "inspector")?) };
        #[cfg(unix)]
        crate::fork::watch();
        inspector.give(sealwire_inspector(Endpoint::builder().inspector(&Home::at(home)?)?));
        Ok(())
    })
}

/// Looks into an envelope for any agent of the home. Free the result with `sealwire_inspected_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspector_inspect(
    inspector: *const sealwire_inspector,
    envelope: *const u8,
    size: usize,
    inspected: *mut *mut sealwire_inspected,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (inspector, envelope) = unsafe { (input(inspector, "inspector")?, bytes(envelope, size, "envelope")?) };
        // SAFETY: the rules of pointers.
        let output = unsafe { Output::new(inspected, "inspected") }?;
        output.give(inspector.0.inspect(&Envelope::parse(envelope.into())?)?.into());
        Ok(())
    })
}

/// Frees an inspector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_inspector_free(inspector: *mut sealwire_inspector) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(inspector, "inspector") }
}
