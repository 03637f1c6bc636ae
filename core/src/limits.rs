//! Every limit, with the reason for its number (SPEC.md, "Limits").

/// An envelope's size in bytes. Model contexts are far below; a body, its copy and its envelope still fit a 512 MiB machine.
pub const MAX_ENVELOPE: usize = 16 * 1024 * 1024;

/// What a transport carries at a time, in bytes: an envelope; all else is smaller.
pub const MAX_PARCEL: usize = MAX_ENVELOPE;

/// Size of the signed header in bytes: sixteen longest labels and two longest addresses take half of it.
pub const MAX_HEADER: usize = 4 * 1024;

/// Size of a certificate in bytes: four receive keys of 1,216 bytes, names and signature, with a third to spare.
pub const MAX_CERTIFICATE: usize = 8 * 1024;

/// Size of a roster in bytes: about 4,000 nodes.
pub const MAX_ROSTER: usize = 1024 * 1024;

/// A notice's size in bytes: a roster and what is around it.
pub const MAX_NOTICE: usize = MAX_ROSTER + 64;

/// Labels on a message. Policy is read by people; nobody reads more.
pub const MAX_LABELS: usize = 16;

/// Length of a label in characters.
pub const MAX_LABEL: usize = 64;

/// Length of an agent's name or a node's name in characters; what a DNS label allows, rounded up.
pub const MAX_NAME: usize = 64;

/// Length of a message kind in characters.
pub const MAX_KIND: usize = 32;

/// Length of a content type in characters; twice what registered media types need.
pub const MAX_CONTENT_TYPE: usize = 128;

/// Message ids, and as many lane ids, one message can acknowledge; they must fit the header.
pub const MAX_ACKNOWLEDGED: usize = 64;

/// Seconds a request may live: longer than a model call, shorter than a coffee break.
pub const REQUEST_LIFETIME: u64 = 10 * 60;

/// Seconds the longest-lived message may live. Receive keys are kept that much longer, so it bounds forward secrecy.
pub const MAX_LIFETIME: u64 = 24 * 60 * 60;

/// Seconds two clocks may differ: what machines without a time service drift in weeks.
pub const CLOCK_TOLERANCE: u64 = 2 * 60;

/// Seconds a certificate, and the receive key in it, is valid.
pub const CERTIFICATE_LIFETIME: u64 = 24 * 60 * 60;

/// Age in seconds at which a certificate is renewed: a quarter of its life is left to reach everybody.
pub const CERTIFICATE_RENEWAL: u64 = 18 * 60 * 60;

/// Receive keys an agent holds: one in use and those that messages under way may still need.
pub const MAX_RECEIVE_KEYS: usize = 4;

/// Seconds a roster is valid: the longest a revocation can be missed by a node that hears nothing.
pub const ROSTER_LIFETIME: u64 = 30 * 24 * 60 * 60;

/// Network addresses of a node in the roster: one at home, one from outside, and one more of each.
pub const MAX_NODE_ADDRESSES: usize = 4;

/// Length of a node's network address in characters; a long host name with scheme and port.
pub const MAX_NODE_ADDRESS: usize = 128;

/// Seconds a lane is used by its sender. Short, because a lane has the forward secrecy of one receive key and no more.
pub const LANE_LIFETIME: u64 = 10 * 60;

/// Messages a lane carries; far below any bound of the cipher, as each message has a key of its own.
pub const LANE_MESSAGES: u32 = 1 << 16;

/// Seconds the reader keeps a lane: its sender's time, a request under way at the end of it, and the clocks' difference.
pub const LANE_KEPT: u64 = LANE_LIFETIME + REQUEST_LIFETIME + CLOCK_TOLERANCE;

/// Seconds a sender waits for its lane offer to be named by the reader before an opening may make a new one.
pub const LANE_OFFER_WAIT: u64 = 30;

/// Lanes a reader keeps for one peer: replicas of an agent have one each.
pub const MAX_LANES_PER_PEER: usize = 8;

/// Lanes a reader keeps in all, about 1 MiB. When full, new lanes are not taken and peers go on with openings.
pub const MAX_LANES: usize = 4096;

/// Rows the journal keeps for one signer: twelve a second for a day.
pub const MAX_JOURNAL_ROWS: u64 = 1 << 20;

/// Certificates of peers that are kept; the oldest goes when a new one comes.
pub const MAX_PEERS: usize = 4096;

/// Seconds a policy may take. A rule reads a few words; what takes longer hangs on something it should not.
pub const POLICY_TIME: u64 = 1;
