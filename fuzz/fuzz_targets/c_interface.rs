//! Whatever C passes within the rules of pointers, each call ends with a result, writes its output on success and only then, and opens nothing but
//! what was sealed, once.
//!
//! An input is a list of calls and their arguments: NULL, bytes of any length, text that is none.

#![no_main]

use std::{
    ffi::{CString, c_char, c_void},
    ptr::{null, null_mut, without_provenance_mut},
    slice,
};

use libfuzzer_sys::fuzz_target;
use sealwire_ffi::*;

type Result = sealwire_result;

/// What an output holds until something is written there.
const NOTHING: usize = 0x5eed;

/// Calls of one input.
const CALLS: usize = 64;

/// An argument: bytes, or NULL. As text it ends at its first zero.
struct Argument(Option<Vec<u8>>);

impl Argument {
    fn bytes(&self) -> *const u8 {
        self.0.as_ref().map_or(null(), Vec::as_ptr)
    }

    fn size(&self) -> usize {
        self.0.as_ref().map_or(7, Vec::len)
    }

    fn text(&self) -> Option<CString> {
        let bytes = self.0.as_ref()?;
        CString::new(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).ok()
    }
}

/// What is left of an input.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A length and so many bytes; 255 is NULL.
    fn argument(&mut self) -> Argument {
        let length = self.byte();
        let (taken, rest) = self.0.split_at(self.0.len().min(length.into()));
        if length < 255 {
            self.0 = rest;
        }
        Argument((length < 255).then(|| taken.to_vec()))
    }
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(null(), |text| text.as_ptr())
}

fn nothing<T>() -> *mut T {
    without_provenance_mut(NOTHING)
}

/// What each call keeps to: `output` was written if it succeeded, and only then; a failure has words.
fn check<T>(result: Result, output: *mut T) -> Option<*mut T> {
    assert_ne!(result, Result::Panicked);
    let written = output.addr() != NOTHING;
    assert_eq!(written, result == Result::Ok, "written without success, or success without a result");
    check_words(result);
    written.then_some(output)
}

fn check_words(result: Result) {
    assert_ne!(result, Result::Panicked);
    let mut words = [1_u8; 64];
    // SAFETY: the buffer has its length.
    let said = unsafe { sealwire_error_message(words.as_mut_ptr().cast(), words.len()) };
    assert!(said == Result::Ok && words.contains(&0), "words without an end");
    assert!(result == Result::Ok || words[0] != 0, "a failure without words");
}

unsafe extern "C" fn policy(answer: *mut c_void, request: *const sealwire_request) -> i32 {
    let mut header = null();
    // SAFETY: the request is valid during the call.
    assert_eq!(unsafe { sealwire_request_header(request, &raw mut header) }, Result::Ok);
    answer.addr() as i32
}

/// An envelope that was sealed.
struct Sealed {
    envelope: Vec<u8>,
    body: Vec<u8>,
    opened: bool,
}

struct Caller {
    builder: *mut sealwire_builder,
    endpoint: *mut sealwire_endpoint,
    draft: *mut sealwire_draft,
    body: Vec<u8>,
    sealed: Vec<Sealed>,
    /// Whether the policy of the builder says yes, and whether the endpoint's does.
    agrees: [bool; 2],
}

impl Caller {
    fn new() -> Self {
        let (mut builder, endpoint) = (null_mut(), null_mut());
        // SAFETY: the output is valid.
        assert_eq!(unsafe { sealwire_builder_new(&raw mut builder) }, Result::Ok);
        let mut caller = Self { builder, endpoint, draft: null_mut(), body: Vec::new(), sealed: Vec::new(), agrees: [true; 2] };
        caller.start(&Some(c"local".into()));
        caller
    }

    /// An endpoint takes the place of this one, if `node` can be a node's name.
    fn start(&mut self, node: &Option<CString>) {
        let (mut endpoint, mut address) = (nothing::<sealwire_endpoint>(), [0; SEALWIRE_ADDRESS_SIZE]);
        // SAFETY: the builder was made here; text ends with zero or is NULL; the output is valid.
        let result = unsafe { sealwire_endpoint_new(self.builder, pointer(node), &raw mut endpoint) };
        let Some(endpoint) = check(result, endpoint) else { return };
        self.free_endpoint();
        self.endpoint = endpoint;
        self.sealed.clear();
        self.agrees[1] = self.agrees[0];
        for name in [c"a", c"b"] {
            // SAFETY: as above; the buffer has its length.
            let result = unsafe { sealwire_endpoint_host(endpoint, name.as_ptr(), address.as_mut_ptr(), address.len()) };
            assert_eq!(result, Result::Ok);
        }
    }

    fn free_endpoint(&mut self) {
        // SAFETY: NULL, or an endpoint that nobody uses any more.
        let result = unsafe { sealwire_endpoint_free(self.endpoint) };
        assert_eq!(result == Result::NullPointer, self.endpoint.is_null());
    }

    fn call(&mut self, script: &mut Script) {
        match script.byte() % 12 {
            0 => self.make_draft(script),
            1 => self.fill_draft(script),
            2 => self.host(script),
            3 | 4 => self.seal(script),
            5 => self.open_anything(script),
            6 | 7 => self.open_sealed(script),
            8 => self.introduce(script),
            9 => self.look(script),
            10 => self.make_endpoint(script),
            _ => ask(script),
        }
    }

    fn make_draft(&mut self, script: &mut Script) {
        let (kind, body, mut draft) = (script.argument().text(), script.argument(), nothing::<sealwire_draft>());
        // SAFETY: text ends with zero, the bytes have their length, the output is valid.
        let result = unsafe { sealwire_draft_new(pointer(&kind), body.bytes(), body.size(), &raw mut draft) };
        assert!(result != Result::Ok || (kind.is_some() && body.0.is_some()), "NULL was taken");
        if let Some(draft) = check(result, draft) {
            self.free_draft();
            (self.draft, self.body) = (draft, body.0.unwrap_or_default());
        }
    }

    fn free_draft(&mut self) {
        // SAFETY: NULL, or a draft that is not used any more.
        let result = unsafe { sealwire_draft_free(self.draft) };
        assert_eq!(result == Result::NullPointer, self.draft.is_null());
        self.draft = null_mut();
    }

    fn fill_draft(&mut self, script: &mut Script) {
        let (what, first, second) = (script.byte(), script.argument(), script.argument());
        let (text, draft) = (first.text(), self.draft);
        let (one, one_size, two, two_size) = (first.bytes(), first.size(), second.bytes(), second.size());
        // SAFETY: the draft is NULL or was made here; text ends with zero, bytes have their length; one that no memory has is not read.
        let (result, sound) = unsafe {
            match what % 7 {
                0 => (sealwire_draft_add_label(draft, pointer(&text)), text.is_some()),
                1 => (sealwire_draft_set_content_type(draft, pointer(&text)), text.is_some()),
                2 => (sealwire_draft_set_thread(draft, one, one_size), !one.is_null() && one_size == 16),
                3 => (sealwire_draft_set_lifetime(draft, u64::from(script.byte()) << (script.byte() % 57)), true),
                4 => (sealwire_draft_set_answers(draft, one, one_size, two, two_size), [one_size, two_size] == [16; 2]),
                5 => (sealwire_draft_set_came_from(draft, one, one_size, two, two_size), [one_size, two_size] == [16; 2]),
                _ => (sealwire_draft_set_thread(draft, c"".as_ptr().cast(), usize::MAX), false),
            }
        };
        assert!(result != Result::Ok || (sound && !draft.is_null()), "a wrong length or NULL was taken");
        check_words(result);
    }

    fn host(&mut self, script: &mut Script) {
        let (name, capacity, mut address) = (script.argument().text(), usize::from(script.byte()), [1; 256]);
        // SAFETY: the endpoint was made here; text ends with zero; the buffer is longer than any capacity given.
        let result = unsafe { sealwire_endpoint_host(self.endpoint, pointer(&name), address.as_mut_ptr(), capacity) };
        assert!(result != Result::Ok || (name.is_some() && capacity >= SEALWIRE_ADDRESS_SIZE), "NULL or a short buffer was taken");
        assert_eq!(address[..capacity].contains(&0), result == Result::Ok, "written without success, or no end");
        assert!(address[capacity..].iter().all(|byte| *byte == 1), "written past the end");
        check_words(result);
    }

    fn seal(&mut self, script: &mut Script) {
        let (known, mut sealed) = (script.byte(), nothing::<sealwire_sealed>());
        let [from, to] = match known % 8 {
            0 => [script.argument().text(), script.argument().text()],
            1 => [Some(c"b@local".into()), Some(c"a@local".into())],
            _ => [Some(c"a@local".into()), Some(c"b@local".into())],
        };
        // SAFETY: the endpoint was made here, the draft too or it is NULL; text ends with zero; the output is valid.
        let result = unsafe { sealwire_endpoint_seal(self.endpoint, pointer(&from), pointer(&to), self.draft, &raw mut sealed) };
        let Some(sealed) = check(result, sealed) else { return };
        assert!(self.agrees[1], "sealed against the policy");
        let (mut bytes, mut header) = (sealwire_bytes { data: null(), size: 0 }, null());
        // SAFETY: it was just sealed, and is freed after its bytes were copied.
        unsafe {
            assert_eq!(sealwire_sealed_envelope(sealed, &raw mut bytes), Result::Ok);
            assert_eq!(sealwire_sealed_header(sealed, &raw mut header), Result::Ok);
            read_header(header);
            let envelope = slice::from_raw_parts(bytes.data, bytes.size).to_vec();
            self.sealed.push(Sealed { envelope, body: self.body.clone(), opened: false });
            assert_eq!(sealwire_sealed_free(sealed), Result::Ok);
        }
    }

    /// The body and what is needed to free it, if the envelope opens.
    fn open(&self, envelope: *const u8, size: usize) -> Option<Vec<u8>> {
        let mut message = nothing::<sealwire_message>();
        // SAFETY: the endpoint was made here; the caller has bytes of that length, or a length that no memory has; the output is valid.
        let result = unsafe { sealwire_endpoint_open(self.endpoint, envelope, size, &raw mut message) };
        let message = check(result, message)?;
        let (mut body, mut header) = (sealwire_bytes { data: null(), size: 0 }, null());
        // SAFETY: it was just opened, and is freed after its body was copied.
        unsafe {
            assert_eq!(sealwire_message_body(message, &raw mut body), Result::Ok);
            assert_eq!(sealwire_message_header(message, &raw mut header), Result::Ok);
            read_header(header);
            let body = slice::from_raw_parts(body.data, body.size).to_vec();
            assert_eq!(sealwire_message_free(message), Result::Ok);
            Some(body)
        }
    }

    fn open_anything(&self, script: &mut Script) {
        let envelope = script.argument();
        assert_eq!(self.open(envelope.bytes(), envelope.size()), None, "opened, and nobody sealed it");
        assert_eq!(self.open(c"".as_ptr().cast(), usize::MAX), None, "of no length");
    }

    fn open_sealed(&mut self, script: &mut Script) {
        let (which, changes) = (usize::from(script.byte()), script.argument().0.unwrap_or_default());
        let Some(number) = which.checked_rem(self.sealed.len()) else { return };
        let changed = sealwire_fuzz::changed(&self.sealed[number].envelope, &changes, &self.sealed[0].envelope);
        // SAFETY: as in `open`, but there is no place for the message.
        let result = unsafe { sealwire_endpoint_open(self.endpoint, changed.as_ptr(), changed.len(), null_mut()) };
        assert_eq!(result, Result::NullPointer);
        let opened = self.open(changed.as_ptr(), changed.len());
        let genuine = self.sealed.iter_mut().find(|sealed| sealed.envelope == changed);
        let Some(sealed) = genuine else { return assert_eq!(opened, None, "opened, and nobody sealed it") };
        assert_eq!(opened, (!sealed.opened).then(|| sealed.body.clone()), "opened twice, or not at all, or another message");
        sealed.opened = true;
    }

    fn introduce(&self, script: &mut Script) {
        let (changes, mut certificate, mut address) = (script.argument(), nothing::<sealwire_certificate>(), [1; 256]);
        let mut bytes = sealwire_bytes { data: null(), size: 0 };
        // SAFETY: as above; the certificate is freed after its bytes were copied.
        let (result, altered) = unsafe {
            let result = sealwire_endpoint_certificate(self.endpoint, c"a@local".as_ptr(), &raw mut certificate);
            let Some(certificate) = check(result, certificate) else { return };
            assert_eq!(sealwire_certificate_bytes(certificate, &raw mut bytes), Result::Ok);
            let genuine = slice::from_raw_parts(bytes.data, bytes.size).to_vec();
            assert_eq!(sealwire_certificate_free(certificate), Result::Ok);
            let changed = sealwire_fuzz::changed(&genuine, changes.0.as_deref().unwrap_or_default(), &[]);
            let (bytes, size) = if changes.0.is_some() { (changed.as_ptr(), changed.len()) } else { (null(), changed.len()) };
            (sealwire_endpoint_introduce(self.endpoint, bytes, size, address.as_mut_ptr(), 130), bytes.is_null() || changed != genuine)
        };
        assert_eq!(result == Result::Ok, !altered, "an altered certificate was taken, or a genuine one was not");
        check_words(result);
    }

    /// Reads what anybody, and what the reader can see of an envelope.
    fn look(&self, script: &mut Script) {
        let (anything, which) = (script.argument(), usize::from(script.byte()));
        let sealed = which.checked_rem(self.sealed.len()).map(|number| &self.sealed[number].envelope);
        let (wire, size) = sealed.map_or((anything.bytes(), anything.size()), |sealed| (sealed.as_ptr(), sealed.len()));
        let (mut envelope, mut inspected) = (nothing::<sealwire_envelope>(), nothing::<sealwire_inspected>());
        // SAFETY: the endpoint was made here; the bytes have their length; outputs are valid; what is made is freed last.
        unsafe {
            if let Some(envelope) = check(sealwire_envelope_new(wire, size, &raw mut envelope), envelope) {
                assert_eq!(sealwire_envelope_free(envelope), Result::Ok);
            }
            let Some(inspected) = check(sealwire_endpoint_inspect(self.endpoint, wire, size, &raw mut inspected), inspected) else {
                return;
            };
            assert!(sealed.is_some(), "looked into, and nobody sealed it");
            let (mut count, mut objection) = (0, sealwire_objection { result: Result::Ok, text: "".into() });
            assert_eq!(sealwire_inspected_objection_count(inspected, &raw mut count), Result::Ok);
            assert_eq!(sealwire_inspected_objection(inspected, count, &raw mut objection), Result::Absent);
            assert_eq!(sealwire_inspected_free(inspected), Result::Ok);
        }
    }

    /// Another endpoint, under a policy that answers in any way, or the one that was set before.
    fn make_endpoint(&mut self, script: &mut Script) {
        let (answer, node) = (script.byte(), script.argument().text());
        let asks: sealwire_policy = if answer == 0 { None } else { Some(policy) };
        // SAFETY: the builder was made here; the policy is one.
        let result = unsafe { sealwire_builder_set_policy(self.builder, asks, without_provenance_mut(answer.into())) };
        assert_eq!(result == Result::Ok, asks.is_some());
        if result == Result::Ok {
            self.agrees[0] = i32::from(answer) == SEALWIRE_YES;
        }
        self.start(&node);
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.free_draft();
        self.free_endpoint();
        // SAFETY: made in `new`, and not used any more.
        assert_eq!(unsafe { sealwire_builder_free(self.builder) }, Result::Ok);
    }
}

/// What needs no object.
fn ask(script: &mut Script) {
    let (number, capacity, mut name) = (script.byte(), usize::from(script.byte() % 65), sealwire_text { data: null(), size: 0 });
    let mut words = [1_u8; 65];
    // SAFETY: the output is valid; the buffer is longer than any capacity given.
    let (named, said) =
        unsafe { (sealwire_result_name(number.into(), &raw mut name), sealwire_error_message(words.as_mut_ptr().cast(), capacity)) };
    assert_eq!(named == Result::Ok, !name.data.is_null());
    assert_eq!(said == Result::Ok, words[..capacity].contains(&0), "no end, or no room for one");
    assert!(words[capacity..].iter().all(|byte| *byte == 1), "written past the end");
}

/// Reads all of a header.
///
/// # Safety
/// `header` is valid.
unsafe fn read_header(header: *const sealwire_header) {
    type Text = unsafe extern "C" fn(*const sealwire_header, *mut sealwire_text) -> Result;
    type Bytes = unsafe extern "C" fn(*const sealwire_header, *mut sealwire_bytes) -> Result;
    let texts: [Text; 3] = [sealwire_header_from, sealwire_header_to, sealwire_header_kind];
    let names: [Bytes; 3] = [sealwire_header_signer, sealwire_header_id, sealwire_header_thread];
    let (mut text, mut bytes, mut count) = (sealwire_text { data: null(), size: 0 }, sealwire_bytes { data: null(), size: 0 }, 0);
    // SAFETY: the header is valid, and so are the outputs; what is read stays as long as it.
    unsafe {
        for read in texts {
            assert_eq!(read(header, &raw mut text), Result::Ok);
            assert!(str::from_utf8(slice::from_raw_parts(text.data.cast(), text.size)).is_ok_and(|text| !text.is_empty()));
        }
        for read in names {
            assert_eq!(read(header, &raw mut bytes), Result::Ok);
            assert_eq!(slice::from_raw_parts(bytes.data, bytes.size).len(), 16);
        }
        assert_eq!(sealwire_header_label_count(header, &raw mut count), Result::Ok);
        for index in 0..=count {
            let result = sealwire_header_label(header, index, &raw mut text);
            assert_eq!(result, if index < count { Result::Ok } else { Result::Absent });
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (mut script, mut caller) = (Script(input), Caller::new());
    for _ in 0..CALLS {
        if script.0.is_empty() {
            break;
        }
        caller.call(&mut script);
    }
});
