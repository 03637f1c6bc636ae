//! [`sealwire_message`]: an envelope that was opened.

use sealwire::Message;

use crate::{
    envelope::sealwire_form,
    header::sealwire_header,
    pointer::{free, read},
    result::sealwire_result,
    view::sealwire_bytes,
};

/// An opened envelope: authentic, meant for this reader, fresh, seen for the first time and allowed.
pub struct sealwire_message {
    message: Message,
    header: sealwire_header,
}

impl From<Message> for sealwire_message {
    fn from(message: Message) -> Self {
        let header = sealwire_header(message.header().clone());
        Self { message, header }
    }
}

/// The body.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_message_body(message: *const sealwire_message, body: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(message, "message", body, |message| Ok(message.message.body().into())) }
}

/// What the author signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_message_header(message: *const sealwire_message, header: *mut *const sealwire_header) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(message, "message", header, |message| Ok(&raw const message.header)) }
}

/// The author's key in full, as SHA-256 of it: 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_message_signer(message: *const sealwire_message, signer: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(message, "message", signer, |message| Ok(message.message.signer().as_bytes().as_slice().into())) }
}

/// The form it came in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_message_form(message: *const sealwire_message, form: *mut sealwire_form) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(message, "message", form, |message| Ok(message.message.form().into())) }
}

/// Frees what `sealwire_endpoint_open` made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_message_free(message: *mut sealwire_message) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(message, "message") }
}
