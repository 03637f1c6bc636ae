//! [`sealwire_endpoint`]: hosts agents, seals and opens; and how it is made.

use core::ffi::{c_char, c_void};

use sealwire::{Address, Builder, Certificate, Endpoint, Envelope};

use crate::{
    draft::sealwire_draft,
    envelope::sealwire_sealed,
    header::sealwire_header,
    hooks::{Hook, User, sealwire_audit, sealwire_entry, sealwire_policy, sealwire_request},
    inspected::sealwire_inspected,
    message::sealwire_message,
    pointer::{Buffer, Output, bytes, changed, free, input, read, text},
    result::{Failure, guard, sealwire_result},
    view::{sealwire_bytes, sealwire_text},
};

/// A buffer of this size holds every address, `name@node`, and its zero byte.
pub const SEALWIRE_ADDRESS_SIZE: usize = 130;

/// How an endpoint is made: with which hooks. Without any, what is authentic may pass and nothing is logged. It may make several endpoints.
#[derive(Default)]
pub struct sealwire_builder {
    policy: Option<Hook<unsafe extern "C" fn(*mut c_void, *const sealwire_request) -> i32>>,
    audit: Option<Hook<unsafe extern "C" fn(*mut c_void, *const sealwire_entry) -> i32>>,
}

impl sealwire_builder {
    fn to_builder(&self) -> Builder {
        #[cfg(unix)]
        crate::fork::watch();
        let builder = Endpoint::builder();
        let builder = self.policy.into_iter().fold(builder, Builder::policy);
        self.audit.into_iter().fold(builder, Builder::audit)
    }
}

/// Makes a builder. Free it with `sealwire_builder_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_builder_new(builder: *mut *mut sealwire_builder) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        unsafe { Output::new(builder, "builder") }?.give(sealwire_builder::default());
        Ok(())
    })
}

/// Asks `policy` about each message, on the way out and on the way in. `user` may be NULL; it is used until every endpoint that was made with it
/// is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_builder_set_policy(
    builder: *mut sealwire_builder,
    policy: sealwire_policy,
    user: *mut c_void,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let builder = unsafe { changed(builder, "builder") }?;
        builder.policy = Some(Hook { function: policy.ok_or(Failure::null("policy"))?, user: User(user) });
        Ok(())
    })
}

/// Records each decision with `audit`; what cannot be recorded is not released. `user` is as for `sealwire_builder_set_policy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_builder_set_audit(
    builder: *mut sealwire_builder,
    audit: sealwire_audit,
    user: *mut c_void,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let builder = unsafe { changed(builder, "builder") }?;
        builder.audit = Some(Hook { function: audit.ok_or(Failure::null("audit"))?, user: User(user) });
        Ok(())
    })
}

/// Frees a builder. Endpoints that it made stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_builder_free(builder: *mut sealwire_builder) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(builder, "builder") }
}

/// Hosts agents, seals what they write and opens what is sealed for them. Threads may share it.
pub struct sealwire_endpoint(Endpoint);

/// Makes an endpoint that keeps everything in memory, in a domain of its own with the one node `node`. Free it with `sealwire_endpoint_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_new(
    builder: *const sealwire_builder,
    node: *const c_char,
    endpoint: *mut *mut sealwire_endpoint,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (builder, node, endpoint) = unsafe { (input(builder, "builder")?, text(node, "node")?, Output::new(endpoint, "endpoint")?) };
        endpoint.give(sealwire_endpoint(builder.to_builder().in_memory(node)?));
        Ok(())
    })
}

/// Makes an endpoint with the home in the folder `home`; when there is none, a home with a domain of its own and the node `node` is made. Free
/// it with `sealwire_endpoint_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_new_with_home(
    builder: *const sealwire_builder,
    home: *const c_char,
    node: *const c_char,
    endpoint: *mut *mut sealwire_endpoint,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (builder, home, node) = unsafe { (input(builder, "builder")?, text(home, "home")?, text(node, "node")?) };
        // SAFETY: the rules of pointers.
        let endpoint = unsafe { Output::new(endpoint, "endpoint") }?;
        endpoint.give(sealwire_endpoint(builder.to_builder().home_or_init(home, node)?.0));
        Ok(())
    })
}

/// The node's name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_node(endpoint: *const sealwire_endpoint, node: *mut sealwire_text) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(endpoint, "endpoint", node, |endpoint| Ok(endpoint.0.node().into())) }
}

/// Hosts an agent: makes or loads its keys and certifies it. Hosting it again changes nothing. Writes its address, `name@node`, and a zero byte;
/// `capacity` is `SEALWIRE_ADDRESS_SIZE` at least.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_host(
    endpoint: *const sealwire_endpoint,
    name: *const c_char,
    address: *mut c_char,
    capacity: usize,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (endpoint, name) = unsafe { (input(endpoint, "endpoint")?, text(name, "name")?) };
        // SAFETY: the rules of pointers.
        let address = unsafe { Buffer::new(address, capacity, SEALWIRE_ADDRESS_SIZE, "address") }?;
        address.write(endpoint.0.host(name)?.as_str());
        Ok(())
    })
}

/// The certificate of an agent hosted here, as it is now. Free it with `sealwire_certificate_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_certificate(
    endpoint: *const sealwire_endpoint,
    agent: *const c_char,
    certificate: *mut *mut sealwire_certificate,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (endpoint, agent) = unsafe { (input(endpoint, "endpoint")?, text(agent, "agent")?) };
        // SAFETY: the rules of pointers.
        let output = unsafe { Output::new(certificate, "certificate") }?;
        let agent: Address = agent.parse()?;
        let unknown = || Failure::new(sealwire_result::UnknownAgent, format!("`{agent}` is not hosted here; host it first"));
        output.give(sealwire_certificate(endpoint.0.certificate(&agent).ok_or_else(unknown)?));
        Ok(())
    })
}

/// Takes a peer's certificate, so that drafts can be sealed for it. Writes the peer's address as `sealwire_endpoint_host` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_introduce(
    endpoint: *const sealwire_endpoint,
    certificate: *const u8,
    size: usize,
    address: *mut c_char,
    capacity: usize,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (endpoint, certificate) = unsafe { (input(endpoint, "endpoint")?, bytes(certificate, size, "certificate")?) };
        // SAFETY: the rules of pointers.
        let address = unsafe { Buffer::new(address, capacity, SEALWIRE_ADDRESS_SIZE, "address") }?;
        address.write(endpoint.0.introduce(certificate)?.as_str());
        Ok(())
    })
}

/// Seals a draft of `from`, hosted here, for `to` and nobody else. Free the result with `sealwire_sealed_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_seal(
    endpoint: *const sealwire_endpoint,
    from: *const c_char,
    to: *const c_char,
    draft: *const sealwire_draft,
    sealed: *mut *mut sealwire_sealed,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (endpoint, from, to) = unsafe { (input(endpoint, "endpoint")?, text(from, "from")?, text(to, "to")?) };
        // SAFETY: the rules of pointers.
        let (draft, output) = unsafe { (input(draft, "draft")?, Output::new(sealed, "sealed")?) };
        let sealed = endpoint.0.seal(&from.parse()?, &to.parse()?, &draft.to_draft())?;
        output.give(sealwire_sealed { envelope: sealed.envelope, header: sealwire_header(sealed.header) });
        Ok(())
    })
}

/// Opens an envelope, as it came off the wire, for an agent hosted here. Free the message with `sealwire_message_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_open(
    endpoint: *const sealwire_endpoint,
    envelope: *const u8,
    size: usize,
    message: *mut *mut sealwire_message,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (endpoint, envelope) = unsafe { (input(endpoint, "endpoint")?, bytes(envelope, size, "envelope")?) };
        // SAFETY: the rules of pointers.
        let output = unsafe { Output::new(message, "message") }?;
        output.give(endpoint.0.open_bytes(envelope)?.into());
        Ok(())
    })
}

/// Looks into an envelope for an agent hosted here. Nothing changes by it; the audit log says that somebody looked. Free the result with
/// `sealwire_inspected_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_inspect(
    endpoint: *const sealwire_endpoint,
    envelope: *const u8,
    size: usize,
    inspected: *mut *mut sealwire_inspected,
) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let (endpoint, envelope) = unsafe { (input(endpoint, "endpoint")?, bytes(envelope, size, "envelope")?) };
        // SAFETY: the rules of pointers.
        let output = unsafe { Output::new(inspected, "inspected") }?;
        output.give(endpoint.0.inspect(&Envelope::parse(envelope.into())?)?.into());
        Ok(())
    })
}

/// Frees an endpoint. Nothing else may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_endpoint_free(endpoint: *mut sealwire_endpoint) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(endpoint, "endpoint") }
}

/// An agent's certificate, to be given to those who seal for it.
pub struct sealwire_certificate(Certificate);

/// The certificate as it is handed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_certificate_bytes(
    certificate: *const sealwire_certificate,
    bytes: *mut sealwire_bytes,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(certificate, "certificate", bytes, |certificate| Ok(certificate.0.as_bytes().into())) }
}

/// Frees what `sealwire_endpoint_certificate` made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_certificate_free(certificate: *mut sealwire_certificate) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { free(certificate, "certificate") }
}
