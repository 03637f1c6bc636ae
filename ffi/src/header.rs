//! [`sealwire_header`]: what the author signs about a message.

use sealwire::{Header, MessageRef};

use crate::{
    pointer::read,
    result::{Failure, sealwire_result},
    view::{sealwire_bytes, sealwire_text},
};

/// The signed header of a message. It belongs to the object it was read from, and is freed with it.
pub struct sealwire_header(pub(crate) Header);

/// Names a message for good: who signed it, and its id. Valid until the object it was read from is freed.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct sealwire_message_ref {
    /// Short name of the signer's key: 16 bytes.
    pub signer: sealwire_bytes,
    /// The message's id: 16 bytes.
    pub id: sealwire_bytes,
}

impl From<&MessageRef> for sealwire_message_ref {
    fn from(message: &MessageRef) -> Self {
        Self { signer: message.signer.as_bytes().as_slice().into(), id: message.id.as_bytes().as_slice().into() }
    }
}

/// Address of the author.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_from(header: *const sealwire_header, from: *mut sealwire_text) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", from, |header| Ok(header.0.from.as_str().into())) }
}

/// Address of the only reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_to(header: *const sealwire_header, to: *mut sealwire_text) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", to, |header| Ok(header.0.to.as_str().into())) }
}

/// What kind of message it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_kind(header: *const sealwire_header, kind: *mut sealwire_text) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", kind, |header| Ok(header.0.kind.as_str().into())) }
}

/// Short name of the author's key: 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_signer(header: *const sealwire_header, signer: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", signer, |header| Ok(header.0.signer.as_bytes().as_slice().into())) }
}

/// The message's own id: 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_id(header: *const sealwire_header, id: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", id, |header| Ok(header.0.id.as_bytes().as_slice().into())) }
}

/// The conversation: 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_thread(header: *const sealwire_header, thread: *mut sealwire_bytes) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", thread, |header| Ok(header.0.thread.as_bytes().as_slice().into())) }
}

/// Unix time of sealing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_issued(header: *const sealwire_header, issued: *mut u64) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", issued, |header| Ok(header.0.issued)) }
}

/// Unix time at which the message ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_expires(header: *const sealwire_header, expires: *mut u64) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", expires, |header| Ok(header.0.expires)) }
}

/// How many labels there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_label_count(header: *const sealwire_header, count: *mut usize) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(header, "header", count, |header| Ok(header.0.labels.len())) }
}

/// One label, counted from 0; they are sorted. `SEALWIRE_RESULT_ABSENT` past the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_label(header: *const sealwire_header, index: usize, label: *mut sealwire_text) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe {
        read(header, "header", label, |header| {
            header.0.labels.get(index).map(|label| label.as_str().into()).ok_or(Failure::absent("there are not that many labels"))
        })
    }
}

/// Media type of the body, or `SEALWIRE_RESULT_ABSENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_content_type(header: *const sealwire_header, content_type: *mut sealwire_text) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe {
        read(header, "header", content_type, |header| {
            header.0.content_type.as_deref().map(Into::into).ok_or(Failure::absent("the header names no content type"))
        })
    }
}

/// The message this one answers, or `SEALWIRE_RESULT_ABSENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_answers(header: *const sealwire_header, answers: *mut sealwire_message_ref) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe {
        read(header, "header", answers, |header| {
            header.0.answers.as_ref().map(Into::into).ok_or(Failure::absent("the message answers none"))
        })
    }
}

/// The message this one was made from, or `SEALWIRE_RESULT_ABSENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_header_came_from(
    header: *const sealwire_header,
    came_from: *mut sealwire_message_ref,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe {
        read(header, "header", came_from, |header| {
            header.0.came_from.as_ref().map(Into::into).ok_or(Failure::absent("the message was made from none"))
        })
    }
}
