//! An envelope for machines.

use core::fmt::Write;

use sealwire::{Header, Inspected, MessageRef};
use serde_json::{Value, json};

use super::{Inside, Shown};
use crate::time::utc;

/// One object: `form`, `size` and `receive_key` or `lane` always; `message` with what is inside, or `null` and `reason`.
pub(super) fn json(shown: &Shown) -> String {
    let key = match shown.form {
        sealwire::Form::Opening => "receive_key",
        sealwire::Form::Lane => "lane",
    };
    let message = match &shown.inside {
        Inside::Seen(inspected) => message(inspected),
        _ => Value::Null,
    };
    json!({ "format": "sealwire/1", "form": shown.form.to_string(), "size": shown.size, key: shown.key,
            "message": message, "reason": shown.reason() })
    .to_string()
}

fn message(inspected: &Inspected) -> Value {
    let objections: Vec<_> = inspected.objections().iter().map(ToString::to_string).collect();
    let certificate = inspected.certificate();
    json!({
        "header": header(inspected.header()),
        "signer": inspected.signer().to_string(),
        "certificate": { "subject": certificate.subject().as_str(), "node": certificate.subject().node(),
                         "issued": utc(certificate.issued()), "expires": utc(certificate.expires()) },
        "authentic": true,
        "objections": objections,
        "body": body(inspected.body()),
    })
}

fn header(header: &Header) -> Value {
    json!({
        "from": header.from.as_str(), "to": header.to.as_str(), "kind": header.kind, "labels": header.labels,
        "thread": header.thread.to_string(), "id": header.id.to_string(),
        "issued": utc(header.issued), "expires": utc(header.expires), "content_type": header.content_type,
        "answers": header.answers.map(reference), "came_from": header.came_from.map(reference), "roster": header.roster,
    })
}

/// `signer/id`, as the audit log writes it.
pub(super) fn reference(message: MessageRef) -> String {
    format!("{}/{}", message.signer, message.id)
}

/// Text as it is; bytes that are no text in hexadecimal.
fn body(body: &[u8]) -> Value {
    match core::str::from_utf8(body) {
        Ok(text) => json!({ "size": body.len(), "text": text }),
        Err(_) => json!({ "size": body.len(), "hex": hex(body) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
