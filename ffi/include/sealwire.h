/*
 * sealwire for C. docs/c.md shows how it is used.
 *
 * Every function returns a sealwire_result. Inputs come first and are only read; outputs come last and are written only when the result is
 * SEALWIRE_RESULT_OK. NULL is an error, and so is a wrong length. Structs without members are opaque: made by the function whose description
 * names the one that frees them, and used with no other. Text that goes in is UTF-8 and ends with a zero byte.
 *
 * What cannot be checked is for the caller to keep to: a pointer that is not NULL points to what its type says, for as long as the call takes;
 * an opaque pointer came from this library and was not freed; nobody writes meanwhile to what it points to. Otherwise anything can happen.
 */

#ifndef SEALWIRE_H
#define SEALWIRE_H

/* Written by cbindgen from ffi/src: `make ffi-header`. */

#include <stddef.h>
#include <stdint.h>

/*
 A buffer of this size holds every address, `name@node`, and its zero byte.
 */
#define SEALWIRE_ADDRESS_SIZE 130

/*
 What a hook returns to agree. Anything else is a no: 0, and whatever a function returns that forgot to.
 */
#define SEALWIRE_YES 1

/*
 How a call ended. Only `SEALWIRE_RESULT_OK` is success; a number that is new to you is a failure. Numbers keep their meaning.
 */
typedef enum {
  /*
   Done; the outputs are written.
   */
  SEALWIRE_RESULT_OK = 0,
  /*
   A pointer is NULL.
   */
  SEALWIRE_RESULT_NULL_POINTER = 1,
  /*
   Text is not UTF-8.
   */
  SEALWIRE_RESULT_NOT_UTF8 = 2,
  /*
   Bytes or a buffer are not of the length they must have.
   */
  SEALWIRE_RESULT_BAD_LENGTH = 3,
  /*
   What was asked for is not there: an optional part of a header, or an index past the last.
   */
  SEALWIRE_RESULT_ABSENT = 4,
  /*
   An error in sealwire itself. What the call was about may be in any state: free it.
   */
  SEALWIRE_RESULT_PANICKED = 5,
  /*
   A name, kind, label, content type or lifetime is not of its form.
   */
  SEALWIRE_RESULT_INVALID_NAME = 6,
  /*
   The author is not hosted here, or nobody introduced the reader.
   */
  SEALWIRE_RESULT_UNKNOWN_AGENT = 7,
  /*
   Over a limit of size.
   */
  SEALWIRE_RESULT_TOO_LARGE = 8,
  /*
   Not of the format.
   */
  SEALWIRE_RESULT_MALFORMED = 9,
  /*
   Sealed for a receive key that is not held here, or no longer.
   */
  SEALWIRE_RESULT_UNKNOWN_KEY = 10,
  /*
   Sealed in a lane that is not held here, or no longer.
   */
  SEALWIRE_RESULT_UNKNOWN_LANE = 11,
  /*
   Altered, or not made by whom it says for whom it says.
   */
  SEALWIRE_RESULT_NOT_AUTHENTIC = 12,
  /*
   The signer's node is not in the roster.
   */
  SEALWIRE_RESULT_UNKNOWN_SIGNER = 13,
  /*
   A key is revoked, or its node may not host the agent.
   */
  SEALWIRE_RESULT_REVOKED = 14,
  /*
   Signed for another reader.
   */
  SEALWIRE_RESULT_MISDIRECTED = 15,
  /*
   Too old, or a certificate or roster behind it is.
   */
  SEALWIRE_RESULT_EXPIRED = 16,
  /*
   Made in the future, as this clock sees it.
   */
  SEALWIRE_RESULT_FROM_FUTURE = 17,
  /*
   Opened before.
   */
  SEALWIRE_RESULT_DUPLICATE = 18,
  /*
   Another message bore this id before.
   */
  SEALWIRE_RESULT_ID_REUSED = 19,
  /*
   The signer knows a newer roster.
   */
  SEALWIRE_RESULT_ROSTER_BEHIND = 20,
  /*
   A roster that does not follow the one that is known.
   */
  SEALWIRE_RESULT_ROSTER_CONFLICT = 21,
  /*
   Policy says no.
   */
  SEALWIRE_RESULT_DENIED = 22,
  /*
   The audit log could not be written.
   */
  SEALWIRE_RESULT_AUDIT_FAILED = 23,
  /*
   A limit of this endpoint is reached; try later.
   */
  SEALWIRE_RESULT_OVERLOADED = 24,
  /*
   The home could not be made, read or written.
   */
  SEALWIRE_RESULT_HOME_FAILED = 25,
  /*
   The system gives no random bytes.
   */
  SEALWIRE_RESULT_ENTROPY_FAILED = 26,
  /*
   The reader has another key now than the message was signed for.
   */
  SEALWIRE_RESULT_REPLACED = 27,
  /*
   The roster does not list this node.
   */
  SEALWIRE_RESULT_NOT_LISTED = 28,
  /*
   Something that has no number of its own yet.
   */
  SEALWIRE_RESULT_OTHER = 29,
} sealwire_result;

/*
 Which of its two forms an envelope has.
 */
typedef enum {
  /*
   Sealed for a receive key.
   */
  SEALWIRE_FORM_OPENING = 1,
  /*
   Sealed in a lane that an opening has set up.
   */
  SEALWIRE_FORM_LANE = 2,
} sealwire_form;

/*
 Which way a message goes.
 */
typedef enum {
  /*
   It is about to be sealed here.
   */
  SEALWIRE_DIRECTION_SEAL = 1,
  /*
   It was opened here and is about to be released.
   */
  SEALWIRE_DIRECTION_OPEN = 2,
  /*
   It is looked into. Policy is not asked.
   */
  SEALWIRE_DIRECTION_INSPECT = 3,
} sealwire_direction;

/*
 What was decided.
 */
typedef enum {
  /*
   Sealed, or released.
   */
  SEALWIRE_DECISION_ALLOWED = 1,
  /*
   Policy said no.
   */
  SEALWIRE_DECISION_DENIED = 2,
  /*
   It was not acceptable before policy was asked.
   */
  SEALWIRE_DECISION_REFUSED = 3,
} sealwire_decision;

/*
 How an endpoint is made: with which hooks. Without any, what is authentic may pass and nothing is logged. It may make several endpoints.
 */
typedef struct sealwire_builder sealwire_builder;

/*
 An agent's certificate, to be given to those who seal for it.
 */
typedef struct sealwire_certificate sealwire_certificate;

/*
 A message to be sealed: of one kind, such as `task` or `result`, with a body. It may be sealed any number of times.
 */
typedef struct sealwire_draft sealwire_draft;

/*
 Hosts agents, seals what they write and opens what is sealed for them. Threads may share it.
 */
typedef struct sealwire_endpoint sealwire_endpoint;

/*
 One decision, as an audit log gets it: never content, never a key.
 */
typedef struct sealwire_entry sealwire_entry;

/*
 An envelope as anyone sees it, who has no key: routing, never a decision.
 */
typedef struct sealwire_envelope sealwire_envelope;

/*
 The signed header of a message. It belongs to the object it was read from, and is freed with it.
 */
typedef struct sealwire_header sealwire_header;

/*
 What an envelope holds: authentic and for the reader it names, but perhaps too old, revoked or opened before. For the one who must see what
 an envelope is, never for agents.
 */
typedef struct sealwire_inspected sealwire_inspected;

/*
 Looks into envelopes with the keys of a home and can do nothing else: nothing in the home changes by it. Only openings; the keys of lanes are in
 the memory of the process that reads them.
 */
typedef struct sealwire_inspector sealwire_inspector;

/*
 An opened envelope: authentic, meant for this reader, fresh, seen for the first time and allowed.
 */
typedef struct sealwire_message sealwire_message;

/*
 What a policy is asked: the header and the size of the body, never the body.
 */
typedef struct sealwire_request sealwire_request;

/*
 An envelope that was sealed here, and what was signed in it.
 */
typedef struct sealwire_sealed sealwire_sealed;

/*
 Decides whether a message may be sealed or released: `SEALWIRE_YES`, within a second, or it may not.

 It is called by the thread that seals or opens, by several at once, and gets back the `user` it was set with. It must return: no `longjmp`,
 no exception. `request` is valid until it returns.
 */
typedef int32_t (*sealwire_policy)(void *user, const sealwire_request *request);

/*
 Records a decision durably: `SEALWIRE_YES` when it is written. Otherwise the message is not sealed or not released.

 It is called as a `sealwire_policy` is.
 */
typedef int32_t (*sealwire_audit)(void *user, const sealwire_entry *entry);

/*
 Text in UTF-8. There is no zero byte at its end: print it with `printf("%.*s", (int)text.size, text.data)`.

 Valid until the object it was read from is freed.
 */
typedef struct {
  /*
   The first byte; not NULL.
   */
  const char *data;
  /*
   How many bytes.
   */
  size_t size;
} sealwire_text;

/*
 Bytes. Valid until the object they were read from is freed.
 */
typedef struct {
  /*
   The first byte; not NULL.
   */
  const uint8_t *data;
  /*
   How many bytes.
   */
  size_t size;
} sealwire_bytes;

/*
 Names a message for good: who signed it, and its id. Valid until the object it was read from is freed.
 */
typedef struct {
  /*
   Short name of the signer's key: 16 bytes.
   */
  sealwire_bytes signer;
  /*
   The message's id: 16 bytes.
   */
  sealwire_bytes id;
} sealwire_message_ref;

/*
 Why an envelope would not be opened now. Valid until what it was read from is freed.
 */
typedef struct {
  /*
   How `sealwire_endpoint_open` would end.
   */
  sealwire_result result;
  /*
   The same in words.
   */
  sealwire_text text;
} sealwire_objection;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Makes a draft; the body is copied. It lives 10 minutes in a thread of its own unless told otherwise. Free it with `sealwire_draft_free`.
 */
sealwire_result sealwire_draft_new(const char *kind, const uint8_t *body, size_t body_size, sealwire_draft **draft);

/*
 Adds a word that policy reads.
 */
sealwire_result sealwire_draft_add_label(sealwire_draft *draft, const char *label);

/*
 Makes it part of a conversation, named by 16 bytes.
 */
sealwire_result sealwire_draft_set_thread(sealwire_draft *draft, const uint8_t *thread, size_t size);

/*
 Sets the media type of the body.
 */
sealwire_result sealwire_draft_set_content_type(sealwire_draft *draft, const char *content_type);

/*
 Sets how long the message may be opened, in seconds from when it is sealed: 1 to 86400.
 */
sealwire_result sealwire_draft_set_lifetime(sealwire_draft *draft, uint64_t seconds);

/*
 Names the message that this one answers: the short name of its signer's key and its id, of 16 bytes each.
 */
sealwire_result sealwire_draft_set_answers(sealwire_draft *draft,
                                           const uint8_t *signer,
                                           size_t signer_size,
                                           const uint8_t *id,
                                           size_t id_size);

/*
 Names the message that this one was made from, as `sealwire_draft_set_answers` does.
 */
sealwire_result sealwire_draft_set_came_from(sealwire_draft *draft,
                                             const uint8_t *signer,
                                             size_t signer_size,
                                             const uint8_t *id,
                                             size_t id_size);

/*
 Frees a draft.
 */
sealwire_result sealwire_draft_free(sealwire_draft *draft);

/*
 Makes a builder. Free it with `sealwire_builder_free`.
 */
sealwire_result sealwire_builder_new(sealwire_builder **builder);

/*
 Asks `policy` about each message, on the way out and on the way in. `user` may be NULL; it is used until every endpoint that was made with it
 is freed.
 */
sealwire_result sealwire_builder_set_policy(sealwire_builder *builder,
                                            sealwire_policy policy,
                                            void *user);

/*
 Records each decision with `audit`; what cannot be recorded is not released. `user` is as for `sealwire_builder_set_policy`.
 */
sealwire_result sealwire_builder_set_audit(sealwire_builder *builder, sealwire_audit audit, void *user);

/*
 Frees a builder. Endpoints that it made stay.
 */
sealwire_result sealwire_builder_free(sealwire_builder *builder);

/*
 Makes an endpoint that keeps everything in memory, in a domain of its own with the one node `node`. Free it with `sealwire_endpoint_free`.
 */
sealwire_result sealwire_endpoint_new(const sealwire_builder *builder, const char *node, sealwire_endpoint **endpoint);

/*
 Makes an endpoint with the home in the folder `home`; when there is none, a home with a domain of its own and the node `node` is made. Free
 it with `sealwire_endpoint_free`.
 */
sealwire_result sealwire_endpoint_new_with_home(const sealwire_builder *builder,
                                                const char *home,
                                                const char *node,
                                                sealwire_endpoint **endpoint);

/*
 The node's name.
 */
sealwire_result sealwire_endpoint_node(const sealwire_endpoint *endpoint, sealwire_text *node);

/*
 Hosts an agent: makes or loads its keys and certifies it. Hosting it again changes nothing. Writes its address, `name@node`, and a zero byte;
 `capacity` is `SEALWIRE_ADDRESS_SIZE` at least.
 */
sealwire_result sealwire_endpoint_host(const sealwire_endpoint *endpoint,
                                       const char *name,
                                       char *address,
                                       size_t capacity);

/*
 The certificate of an agent hosted here, as it is now. Free it with `sealwire_certificate_free`.
 */
sealwire_result sealwire_endpoint_certificate(const sealwire_endpoint *endpoint, const char *agent, sealwire_certificate **certificate);

/*
 Takes a peer's certificate, so that drafts can be sealed for it. Writes the peer's address as `sealwire_endpoint_host` does.
 */
sealwire_result sealwire_endpoint_introduce(const sealwire_endpoint *endpoint,
                                            const uint8_t *certificate,
                                            size_t size,
                                            char *address,
                                            size_t capacity);

/*
 Seals a draft of `from`, hosted here, for `to` and nobody else. Free the result with `sealwire_sealed_free`.
 */
sealwire_result sealwire_endpoint_seal(const sealwire_endpoint *endpoint,
                                       const char *from,
                                       const char *to,
                                       const sealwire_draft *draft,
                                       sealwire_sealed **sealed);

/*
 Opens an envelope, as it came off the wire, for an agent hosted here. Free the message with `sealwire_message_free`.
 */
sealwire_result sealwire_endpoint_open(const sealwire_endpoint *endpoint, const uint8_t *envelope, size_t size, sealwire_message **message);

/*
 Looks into an envelope for an agent hosted here. Nothing changes by it; the audit log says that somebody looked. Free the result with
 `sealwire_inspected_free`.
 */
sealwire_result sealwire_endpoint_inspect(const sealwire_endpoint *endpoint,
                                          const uint8_t *envelope,
                                          size_t size,
                                          sealwire_inspected **inspected);

/*
 Frees an endpoint. Nothing else may be using it.
 */
sealwire_result sealwire_endpoint_free(sealwire_endpoint *endpoint);

/*
 The certificate as it is handed over.
 */
sealwire_result sealwire_certificate_bytes(const sealwire_certificate *certificate, sealwire_bytes *bytes);

/*
 Frees what `sealwire_endpoint_certificate` made.
 */
sealwire_result sealwire_certificate_free(sealwire_certificate *certificate);

/*
 The bytes that travel.
 */
sealwire_result sealwire_sealed_envelope(const sealwire_sealed *sealed, sealwire_bytes *envelope);

/*
 What was signed.
 */
sealwire_result sealwire_sealed_header(const sealwire_sealed *sealed, const sealwire_header **header);

/*
 Frees what `sealwire_endpoint_seal` made.
 */
sealwire_result sealwire_sealed_free(sealwire_sealed *sealed);

/*
 Reads the outside of an envelope, strictly. Free it with `sealwire_envelope_free`.
 */
sealwire_result sealwire_envelope_new(const uint8_t *wire, size_t size, sealwire_envelope **envelope);

/*
 Its form.
 */
sealwire_result sealwire_envelope_form(const sealwire_envelope *envelope, sealwire_form *form);

/*
 The name of the receive key, or of the lane, that it is sealed for: 16 bytes.
 */
sealwire_result sealwire_envelope_key(const sealwire_envelope *envelope, sealwire_bytes *key);

/*
 Frees what `sealwire_envelope_new` made.
 */
sealwire_result sealwire_envelope_free(sealwire_envelope *envelope);

/*
 Address of the author.
 */
sealwire_result sealwire_header_from(const sealwire_header *header, sealwire_text *from);

/*
 Address of the only reader.
 */
sealwire_result sealwire_header_to(const sealwire_header *header, sealwire_text *to);

/*
 What kind of message it is.
 */
sealwire_result sealwire_header_kind(const sealwire_header *header, sealwire_text *kind);

/*
 Short name of the author's key: 16 bytes.
 */
sealwire_result sealwire_header_signer(const sealwire_header *header, sealwire_bytes *signer);

/*
 The message's own id: 16 bytes.
 */
sealwire_result sealwire_header_id(const sealwire_header *header, sealwire_bytes *id);

/*
 The conversation: 16 bytes.
 */
sealwire_result sealwire_header_thread(const sealwire_header *header, sealwire_bytes *thread);

/*
 Unix time of sealing.
 */
sealwire_result sealwire_header_issued(const sealwire_header *header, uint64_t *issued);

/*
 Unix time at which the message ends.
 */
sealwire_result sealwire_header_expires(const sealwire_header *header, uint64_t *expires);

/*
 How many labels there are.
 */
sealwire_result sealwire_header_label_count(const sealwire_header *header, size_t *count);

/*
 One label, counted from 0; they are sorted. `SEALWIRE_RESULT_ABSENT` past the last.
 */
sealwire_result sealwire_header_label(const sealwire_header *header, size_t index, sealwire_text *label);

/*
 Media type of the body, or `SEALWIRE_RESULT_ABSENT`.
 */
sealwire_result sealwire_header_content_type(const sealwire_header *header, sealwire_text *content_type);

/*
 The message this one answers, or `SEALWIRE_RESULT_ABSENT`.
 */
sealwire_result sealwire_header_answers(const sealwire_header *header, sealwire_message_ref *answers);

/*
 The message this one was made from, or `SEALWIRE_RESULT_ABSENT`.
 */
sealwire_result sealwire_header_came_from(const sealwire_header *header, sealwire_message_ref *came_from);

/*
 Which way it goes.
 */
sealwire_result sealwire_request_direction(const sealwire_request *request, sealwire_direction *direction);

/*
 The header: authentic when the message is opened.
 */
sealwire_result sealwire_request_header(const sealwire_request *request, const sealwire_header **header);

/*
 Size of the body in bytes.
 */
sealwire_result sealwire_request_size(const sealwire_request *request, size_t *size);

/*
 One of the words that the root cleared the author's node for, counted from 0. `SEALWIRE_RESULT_ABSENT` past the last.
 */
sealwire_result sealwire_request_sender_clearance(const sealwire_request *request, size_t index, sealwire_text *clearance);

/*
 One of the words that the root cleared the reader's node for, counted from 0. `SEALWIRE_RESULT_ABSENT` past the last.
 */
sealwire_result sealwire_request_reader_clearance(const sealwire_request *request, size_t index, sealwire_text *clearance);

/*
 Unix time of the decision.
 */
sealwire_result sealwire_entry_time(const sealwire_entry *entry, uint64_t *time);

/*
 Which way the message went.
 */
sealwire_result sealwire_entry_direction(const sealwire_entry *entry, sealwire_direction *direction);

/*
 What was decided.
 */
sealwire_result sealwire_entry_decision(const sealwire_entry *entry, sealwire_decision *decision);

/*
 Why not, or `SEALWIRE_RESULT_ABSENT` if it was allowed.
 */
sealwire_result sealwire_entry_reason(const sealwire_entry *entry, sealwire_text *reason);

/*
 The header, or `SEALWIRE_RESULT_ABSENT`: what an unauthentic envelope claims is not recorded.
 */
sealwire_result sealwire_entry_header(const sealwire_entry *entry, const sealwire_header **header);

/*
 Size in bytes: of the body when the header is there, of the envelope otherwise.
 */
sealwire_result sealwire_entry_size(const sealwire_entry *entry, size_t *size);

/*
 The form of the envelope, or `SEALWIRE_RESULT_ABSENT` while that is not known.
 */
sealwire_result sealwire_entry_form(const sealwire_entry *entry, sealwire_form *form);

/*
 The body.
 */
sealwire_result sealwire_inspected_body(const sealwire_inspected *inspected, sealwire_bytes *body);

/*
 What the author signed.
 */
sealwire_result sealwire_inspected_header(const sealwire_inspected *inspected, const sealwire_header **header);

/*
 The author's key in full, as SHA-256 of it: 32 bytes.
 */
sealwire_result sealwire_inspected_signer(const sealwire_inspected *inspected, sealwire_bytes *signer);

/*
 The form of the envelope.
 */
sealwire_result sealwire_inspected_form(const sealwire_inspected *inspected, sealwire_form *form);

/*
 How many reasons there are for which it would not be opened now, policy aside. None: it would.
 */
sealwire_result sealwire_inspected_objection_count(const sealwire_inspected *inspected, size_t *count);

/*
 One of these reasons, counted from 0. `SEALWIRE_RESULT_ABSENT` past the last.
 */
sealwire_result sealwire_inspected_objection(const sealwire_inspected *inspected, size_t index, sealwire_objection *objection);

/*
 Frees what `sealwire_endpoint_inspect` or `sealwire_inspector_inspect` made.
 */
sealwire_result sealwire_inspected_free(sealwire_inspected *inspected);

/*
 Makes an inspector with the home in the folder `home`, which must be there. Free it with `sealwire_inspector_free`.
 */
sealwire_result sealwire_inspector_new(const char *home, sealwire_inspector **inspector);

/*
 Looks into an envelope for any agent of the home. Free the result with `sealwire_inspected_free`.
 */
sealwire_result sealwire_inspector_inspect(const sealwire_inspector *inspector,
                                           const uint8_t *envelope,
                                           size_t size,
                                           sealwire_inspected **inspected);

/*
 Frees an inspector.
 */
sealwire_result sealwire_inspector_free(sealwire_inspector *inspector);

/*
 The body.
 */
sealwire_result sealwire_message_body(const sealwire_message *message, sealwire_bytes *body);

/*
 What the author signed.
 */
sealwire_result sealwire_message_header(const sealwire_message *message, const sealwire_header **header);

/*
 The author's key in full, as SHA-256 of it: 32 bytes.
 */
sealwire_result sealwire_message_signer(const sealwire_message *message, sealwire_bytes *signer);

/*
 The form it came in.
 */
sealwire_result sealwire_message_form(const sealwire_message *message, sealwire_form *form);

/*
 Frees what `sealwire_endpoint_open` made.
 */
sealwire_result sealwire_message_free(sealwire_message *message);

/*
 The name of a result, such as `not authentic`; valid for good. `SEALWIRE_RESULT_ABSENT` for a number that is none.
 */
sealwire_result sealwire_result_name(uint32_t result, sealwire_text *name);

/*
 Why the last call of this thread that failed did so, in words and with the remedy, ending with a zero byte. Empty if none failed. What does
 not fit into `capacity` bytes (1 at least) is cut off. It holds nothing secret.
 */
sealwire_result sealwire_error_message(char *message, size_t capacity);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SEALWIRE_H */
