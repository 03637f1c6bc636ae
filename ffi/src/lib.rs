//! The C interface of sealwire: what `include/sealwire.h` declares.
//!
//! Structs are opaque and made, read and freed by functions named `sealwire_<type>_<verb>`. Every function returns a [`sealwire_result`]; inputs
//! come first and are only read, outputs come last and are written only on success. NULL and a wrong length are errors. A panic becomes
//! [`sealwire_result::Panicked`] and never reaches C. `docs/c.md` says what else C has to keep to.
//!
//! The rules of pointers, to which every `unsafe` function here refers: each pointer that is not NULL points to what its type says, for as long
//! as the call takes; an opaque pointer came from this library and was not freed; nobody writes meanwhile to what it points to.

#![allow(non_camel_case_types, reason = "these are the names in C")]

mod draft;
mod endpoint;
mod envelope;
#[cfg(unix)]
mod fork;
mod header;
mod hooks;
mod inspected;
mod message;
mod pointer;
mod result;
mod view;

pub use draft::*;
pub use endpoint::*;
pub use envelope::*;
pub use header::*;
pub use hooks::*;
pub use inspected::*;
pub use message::*;
pub use result::*;
pub use view::*;
