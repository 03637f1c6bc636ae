//! A coworker without Python: an agent that CrewAI crews on other hosts use by `sealwire.crewai.remote("watch")`, as if it were theirs.
//!
//! It has no model. It tells what the kernel of its Linux machine says of load, memory and uptime. What a crew sends and what it
//! expects back is in `docs/rust.md`, "A coworker of a crew".
//!
//! ```text
//! crew$ sealwire invite pi2
//! pi2$  sealwire join -
//! pi2$  cargo run -p sealwire --example coworker --features node,tcp -- ./.sealwire tcp://0.0.0.0:7451
//! ```

use std::{error::Error, fs};

use sealwire::{
    Endpoint, Home,
    node::{Node, Refusal, Reply, Request},
    transport::Streams,
};
use serde_json::{Value, json};

const NAME: &str = "watch";
const ROLE: &str = "Watch";
const GOAL: &str = "tell how busy this machine is";
const BACKSTORY: &str = "Reads what the kernel counts, and makes nothing up.";

/// What can be asked about, by the word that asks for it, and where the kernel says it.
const KNOWN: [(&str, &str); 3] = [("load", "/proc/loadavg"), ("memory", "/proc/meminfo"), ("uptime", "/proc/uptime")];

/// Lines of a file that are told: the rest of what the kernel says of memory is for those who look for leaks.
const LINES: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [home, listen] = <[String; 2]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: coworker HOME LISTEN, as in: coworker ./.sealwire tcp://0.0.0.0:7451")?;
    let endpoint = Endpoint::builder().home(&Home::at(home)?)?;
    let streams = Streams::builder(endpoint.node()).listen(&listen).build().await?;
    let node = Node::builder(endpoint, streams).build()?;
    let watch = node.serve(NAME, answer)?;
    eprintln!("coworker: {watch} served at {listen}");
    // Until the process is ended. What it was at work on then is given to the next one.
    std::future::pending().await
}

/// Answers one request. What is refused, and why, is told to who asked.
async fn answer(mut request: Request) -> Result<Reply, Refusal> {
    let asked: Value = serde_json::from_slice(request.message().body()).map_err(|_| "a request is a JSON object")?;
    let said = match request.message().header().kind.as_str() {
        "describe" => json!({"role": ROLE, "goal": GOAL, "backstory": BACKSTORY}),
        "task" | "delegate" | "ask" => {
            let prompt = asked.get("prompt").and_then(Value::as_str).ok_or("a request for work has a prompt")?;
            let text = work(prompt)?;
            if asked.get("stream") == Some(&Value::Bool(true)) {
                request.part(text.as_bytes()).await.map_err(|error| error.to_string())?;
            }
            json!({"text": text})
        }
        kind => return Err(format!("this agent has no answer to a message of kind {kind:?}").into()),
    };
    // The answer is as confidential as the question.
    let labels = &request.message().header().labels;
    let reply = Reply::new("result", said.to_string()).content_type("application/json");
    Ok(labels.iter().fold(reply, |reply, label| reply.label(label)))
}

/// What the kernel says of that which the prompt names.
fn work(prompt: &str) -> Result<String, Refusal> {
    let prompt = prompt.to_lowercase();
    let asked: Vec<_> = KNOWN.into_iter().filter(|(word, _)| prompt.contains(word)).collect();
    if asked.is_empty() {
        return Err("this agent knows load, memory and uptime of its machine; ask for one of them".into());
    }
    let told = asked.into_iter().map(|(word, path)| {
        let counted = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(format!("{word}: {}", counted.lines().take(LINES).collect::<Vec<_>>().join(", ")))
    });
    Ok(told.collect::<Result<Vec<_>, Refusal>>()?.join("\n"))
}
