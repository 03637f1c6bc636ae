//! `Home`: a folder with a node's keys, for what is done with it before anything is sealed.

use std::path::PathBuf;

use pyo3::prelude::*;
use sealwire::{Created, Membership, pairing};

use crate::{
    endpoint::{DEFAULT_NODE, Member, members},
    error::Raised,
};

/// A home on disk; made at `path` if there is none, with a domain of its own and a node of the name `node`.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Home {
    home: sealwire::Home,
    /// Whether this call made it.
    #[pyo3(get)]
    created: bool,
}

#[pymethods]
impl Home {
    #[new]
    #[pyo3(signature = (path, *, node = None))]
    fn new(py: Python<'_>, path: PathBuf, node: Option<&str>) -> Result<Self, Raised> {
        let (home, created) = py.detach(|| sealwire::Home::init(&path, node.unwrap_or(DEFAULT_NODE)))?;
        Ok(Self { home, created: created == Created::Now })
    }

    /// The node's name.
    #[getter]
    fn node(&self, py: Python<'_>) -> Result<String, Raised> {
        Ok(self.membership(py)?.node().to_owned())
    }

    /// Whether the domain's root key is here, so that nodes can be enrolled.
    #[getter]
    fn holds_root(&self, py: Python<'_>) -> Result<bool, Raised> {
        Ok(self.membership(py)?.holds_root())
    }

    /// The nodes of the domain: name, patterns of the agents each may host, and where it is.
    fn members(&self, py: Python<'_>) -> Result<Vec<Member>, Raised> {
        Ok(members(self.membership(py)?.roster()))
    }

    /// Lists `node` in the domain, with its home at `path` on this machine, which is made when there is none: what `sealwire invite` and
    /// `sealwire join` do. It may host `agents`, and is reached at `addresses`.
    fn enrol(&self, py: Python<'_>, path: PathBuf, node: &str, agents: Vec<String>, addresses: Vec<String>) -> Result<(), Raised> {
        py.detach(|| pairing::enrol(&self.home, &path, node, agents, addresses)).map(drop).map_err(Raised::home)
    }

    /// Gives the roster to the home at `path`, if that is of this domain and has an older one; renews it first where it is due. Returns whether
    /// it was given.
    fn share_roster(&self, py: Python<'_>, path: PathBuf) -> Result<bool, Raised> {
        Ok(py.detach(|| sealwire::Home::at(path).map_err(Into::into).and_then(|with| self.home.share_roster(&with)))?)
    }

    fn __repr__(&self) -> String {
        format!("Home({:?})", self.home.path().display().to_string())
    }
}

impl Home {
    fn membership(&self, py: Python<'_>) -> Result<Membership, Raised> {
        py.detach(|| self.home.membership()).map_err(Raised::home)
    }
}
