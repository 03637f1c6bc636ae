//! [`sealwire_draft`]: a message to be sealed.

use core::ffi::c_char;

use sealwire::{Draft, KeyId, MessageId, MessageRef, Thread};

use crate::{
    pointer::{Output, array, bytes, changed, free, text},
    result::{Failure, guard, sealwire_result},
};

/// A message to be sealed: of one kind, such as `task` or `result`, with a body. It may be sealed any number of times.
pub struct sealwire_draft {
    kind: String,
    body: Vec<u8>,
    thread: Option<Thread>,
    labels: Vec<String>,
    content_type: Option<String>,
    answers: Option<MessageRef>,
    came_from: Option<MessageRef>,
    lifetime: Option<u64>,
}

impl sealwire_draft {
    pub(crate) fn to_draft(&self) -> Draft<&[u8]> {
        let draft = self.labels.iter().fold(Draft::new(&self.kind, self.body.as_slice()), Draft::label);
        let draft = self.thread.into_iter().fold(draft, Draft::thread);
        let draft = self.content_type.iter().fold(draft, Draft::content_type);
        let draft = self.answers.into_iter().fold(draft, Draft::answers);
        let draft = self.came_from.into_iter().fold(draft, Draft::came_from);
        self.lifetime.into_iter().fold(draft, Draft::lifetime)
    }
}

/// Makes a draft; the body is copied. It lives 10 minutes in a thread of its own unless told otherwise. Free it with `sealwire_draft_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_new(
    kind: *const c_char,
    body: *const u8,
    body_size: usize,
    draft: *mut *mut sealwire_draft,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (kind, body, draft) = unsafe { (text(kind, "kind")?, bytes(body, body_size, "body")?, Output::new(draft, "draft")?) };
        draft.give(sealwire_draft {
            kind: kind.into(),
            body: body.into(),
            thread: None,
            labels: Vec::new(),
            content_type: None,
            answers: None,
            came_from: None,
            lifetime: None,
        });
        Ok(())
    })
}

/// Adds a word that policy reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_add_label(draft: *mut sealwire_draft, label: *const c_char) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (draft, label) = unsafe { (changed(draft, "draft")?, text(label, "label")?) };
        draft.labels.push(label.into());
        Ok(())
    })
}

/// Makes it part of a conversation, named by 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_set_thread(draft: *mut sealwire_draft, thread: *const u8, size: usize) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (draft, thread) = unsafe { (changed(draft, "draft")?, array(thread, size, "thread")?) };
        draft.thread = Some(Thread::from_bytes(thread));
        Ok(())
    })
}

/// Sets the media type of the body.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_set_content_type(draft: *mut sealwire_draft, content_type: *const c_char) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (draft, content_type) = unsafe { (changed(draft, "draft")?, text(content_type, "content_type")?) };
        draft.content_type = Some(content_type.into());
        Ok(())
    })
}

/// Sets how long the message may be opened, in seconds from when it is sealed: 1 to 86400.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_set_lifetime(draft: *mut sealwire_draft, seconds: u64) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        unsafe { changed(draft, "draft") }?.lifetime = Some(seconds);
        Ok(())
    })
}

/// Names the message that this one answers: the short name of its signer's key and its id, of 16 bytes each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_set_answers(
    draft: *mut sealwire_draft,
    signer: *const u8,
    signer_size: usize,
    id: *const u8,
    id_size: usize,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    guard(|| unsafe { refer(draft, signer, signer_size, id, id_size, |draft| &mut draft.answers) })
}

/// Names the message that this one was made from, as `sealwire_draft_set_answers` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_set_came_from(
    draft: *mut sealwire_draft,
    signer: *const u8,
    signer_size: usize,
    id: *const u8,
    id_size: usize,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    guard(|| unsafe { refer(draft, signer, signer_size, id, id_size, |draft| &mut draft.came_from) })
}

/// Frees a draft.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_draft_free(draft: *mut sealwire_draft) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(draft, "draft") }
}

/// Names another message in a place of the draft.
///
/// # Safety
/// As [`changed`] and [`array`].
unsafe fn refer(
    draft: *mut sealwire_draft,
    signer: *const u8,
    signer_size: usize,
    id: *const u8,
    id_size: usize,
    place: impl FnOnce(&mut sealwire_draft) -> &mut Option<MessageRef>,
) -> Result<(), Failure> {
    // SAFETY: as the caller promises.
    let (draft, signer, id) = unsafe { (changed(draft, "draft")?, array(signer, signer_size, "signer")?, array(id, id_size, "id")?) };
    *place(draft) = Some(MessageRef { signer: KeyId::from_bytes(signer), id: MessageId::from_bytes(id) });
    Ok(())
}
