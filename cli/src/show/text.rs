//! An envelope for people.

use sealwire::{Form, Header, Inspected};

use super::{Inside, Shown, json::reference};
use crate::{paint::Paint, time::utc};

/// Bytes of a body that is no text that are shown, in rows of [`ROW`].
const BYTES_SHOWN: usize = 64;
const ROW: usize = 16;

pub(super) fn text(shown: &Shown, paint: Paint) -> String {
    let mut lines = vec![paint.bold(&format!("sealwire/1 {}, {} bytes", shown.form, grouped(shown.size)))];
    let what = match shown.form {
        Form::Opening => "receive key",
        Form::Lane => "lane",
    };
    lines.push(row(paint, what, &shown.key));
    match &shown.inside {
        Inside::Seen(inspected) => lines.extend(message(inspected, paint)),
        _ => lines.extend(shown.reason().map(|reason| paint.bad(&format!("not opened: {reason}")))),
    }
    lines.join("\n")
}

fn message(inspected: &Inspected, paint: Paint) -> Vec<String> {
    let (header, certificate) = (inspected.header(), inspected.certificate());
    let mut lines: Vec<_> = rows(header).into_iter().map(|(name, value)| row(paint, name, &value)).collect();
    lines.push(row(paint, "signer", &inspected.signer().to_string()));
    let node = certificate.subject().node();
    lines.push(row(paint, "certified", &format!("by node `{node}`, {} to {}", utc(certificate.issued()), utc(certificate.expires()))));
    lines.push(verdict(inspected, paint));
    lines.push(paint.dim("policy was not asked, and looking marks nothing as opened"));
    lines.push(String::new());
    lines.extend(body(inspected.body(), paint));
    lines
}

fn rows(header: &Header) -> Vec<(&'static str, String)> {
    let mut rows = vec![("from", header.from.to_string()), ("to", header.to.to_string()), ("kind", header.kind.clone())];
    if !header.labels.is_empty() {
        rows.push(("labels", header.labels.join(", ")));
    }
    rows.extend([("thread", header.thread.to_string()), ("id", header.id.to_string())]);
    rows.extend(header.answers.map(|message| ("answers", reference(message))));
    rows.extend(header.came_from.map(|message| ("came from", reference(message))));
    rows.extend([("issued", utc(header.issued)), ("expires", utc(header.expires))]);
    rows.extend(header.content_type.clone().map(|content_type| ("content", content_type)));
    rows
}

fn verdict(inspected: &Inspected, paint: Paint) -> String {
    let authentic = paint.good("authentic: signature and certificate check out");
    if inspected.objections().is_empty() {
        return authentic;
    }
    let objections: Vec<_> = inspected.objections().iter().map(ToString::to_string).collect();
    format!("{authentic}\n{}", paint.bad(&format!("an agent could not open it now: {}", objections.join("; "))))
}

fn body(body: &[u8], paint: Paint) -> Vec<String> {
    let size = format!("{} bytes", grouped(body.len()));
    match core::str::from_utf8(body) {
        Ok(text) if is_printable(text) => vec![paint.dim(&format!("body, {size}")), text.to_owned()],
        _ => {
            let mut lines = vec![paint.dim(&format!("body, {size}, not printable text"))];
            lines.extend(body.chunks(ROW).take(BYTES_SHOWN / ROW).map(hex));
            if body.len() > BYTES_SHOWN {
                lines.push("…".into());
            }
            lines
        }
    }
}

/// Whether a terminal shows the text as it is: no control characters, which could move its cursor, and none that turn reading round.
fn is_printable(text: &str) -> bool {
    text.replace("\r\n", "\n").chars().all(|c| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        matches!(c, '\n' | '\t') || !(c.is_control() || turns)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn row(paint: Paint, name: &str, value: &str) -> String {
    format!("{} {value}", paint.dim(&format!("{name:<11}")))
}

/// `16,777,216`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| core::str::from_utf8(group).unwrap_or_default());
    let groups: Vec<_> = (!head.is_empty()).then_some(head).into_iter().chain(groups).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let numbers = [(0, "0"), (12, "12"), (123, "123"), (1234, "1,234"), (123_456, "123,456"), (16_777_216, "16,777,216")];
        for (number, text) in numbers {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn what_could_command_a_terminal_is_not_printed() {
        assert!(is_printable("Über\tuns\r\n日本語 🙂\n"));
        for text in ["\x1b[2J", "a\rb", "\u{9b}2J", "\u{7f}", "\0", "abc\u{202e}def"] {
            assert!(!is_printable(text), "{text:?}");
        }
    }
}
