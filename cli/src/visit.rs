//! What commands say to and ask of nodes that run. Who does not answer in time is left out.

use std::{collections::HashMap, future::Future, io, time::Duration};

use sealwire::{
    Membership,
    node::{Clock, Visit},
};

/// Time for a connection and one question over a slow link. A node that runs answers in a fraction of it.
const PATIENCE: Duration = Duration::from_secs(4);

/// The nodes that were called on, and those of them that have the roster now.
pub(crate) fn tell_roster(known: &Membership) -> io::Result<(Vec<String>, Vec<String>)> {
    wait_for(async {
        let visit = Visit::begin(known).await?;
        let took = visit.tell_roster(PATIENCE).await;
        Ok((visit.called().to_vec(), took))
    })
}

/// The clocks of the nodes that answered.
pub(crate) fn clocks(known: &Membership) -> io::Result<HashMap<String, Clock>> {
    wait_for(async { Visit::begin(known).await?.clocks(PATIENCE).await })
}

fn wait_for<T>(visit: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(visit)
}
