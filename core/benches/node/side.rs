//! One side of a conversation: threads of its own, whose processor time is counted.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};

/// Longer than any run: the time of a thread that has ended would be lost.
const KEPT: Duration = Duration::from_secs(3600);

/// Wall time, and processor time of the sending and of the receiving side.
pub(crate) type Times = [Duration; 3];

/// As a process on a host of its own would have it: one thread for the network, others for what takes long.
pub(crate) struct Side {
    runtime: Runtime,
    name: &'static str,
}

impl Side {
    pub(crate) fn new(name: &'static str) -> Self {
        let mut builder = Builder::new_multi_thread();
        Self { runtime: builder.worker_threads(1).thread_name(name).thread_keep_alive(KEPT).enable_all().build().unwrap(), name }
    }

    /// Runs something on a thread of this side.
    pub(crate) fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(self.runtime.spawn(task)).unwrap()
    }

    /// Starts something on a thread of this side.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// Of all its threads so far.
    fn processor_time(&self) -> Duration {
        let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
        let of_thread = |path: std::path::PathBuf| fs::read_to_string(path.join("schedstat")).unwrap();
        threads
            .filter(|path| fs::read_to_string(path.join("comm")).unwrap().trim() == self.name)
            .map(|path| Duration::from_nanos(of_thread(path).split_whitespace().next().unwrap().parse().unwrap()))
            .sum()
    }
}

/// Runs something on the first side, and says what it took.
pub(crate) fn time([sending, receiving]: &[Side; 2], task: impl Future<Output = ()> + Send + 'static) -> Times {
    let before = [sending, receiving].map(Side::processor_time);
    let since = Instant::now();
    sending.run(task);
    let wall = since.elapsed();
    let [sent, received] = [(sending, before[0]), (receiving, before[1])].map(|(side, before)| side.processor_time() - before);
    [wall, sent, received]
}
