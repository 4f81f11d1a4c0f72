//! One link, one session, one question: what a client says so that a relay's answer can be counted in the record.
//!
//! It takes every answer there is, not only as many as are due: behind those it asks for an object that it knows by
//! heart, and whatever comes before that is an answer too.

use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::ObjectId;
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hearken_proto::pow::{self, Challenge, Purpose, Search};
use hearken_proto::wire::command::Command;
use hearken_proto::wire::reply::Reply;
use hearken_proto::wire::{
    Auth, ObjectChunk, ObjectDeclaration, ObjectGet, ObjectPut, Role, object_put,
};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::KeyLog;
use crate::load::session::{Infos, Session, rng};
use crate::load::{Dialler, Link, LoadError, Path};

/// Hours for which objects are kept.
const TTL_HOURS: u32 = 24;

/// How a question is proven.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// Not at all.
    None,
    /// By the key in this role.
    Right(Role, &'a ObjectSecretKey),
    /// As somebody would who knows the public key only.
    Wrong(Role, &'a ObjectSecretKey),
}

/// An object of which every chunk is known.
#[derive(Debug)]
pub struct KnownObject {
    /// Its write key.
    pub key: ObjectSecretKey,
    /// Its chunks.
    pub chunks: Vec<Blob>,
}

/// A link with one session.
pub struct Talk {
    dialler: Dialler,
    link: Link,
    infos: Infos,
    session: Session,
    rng: ChaCha20Rng,
}

impl KnownObject {
    /// An object of `chunks` random chunks.
    #[must_use]
    pub fn generate(chunks: usize, rng: &mut ChaCha20Rng) -> Self {
        let key = ObjectSecretKey::generate(rng);
        Self { key, chunks: (0..chunks).map(|_| random_blob(rng)).collect() }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId::of(&self.key.public_key())
    }

    /// The command that declares it.
    ///
    /// # Errors
    /// [`LoadError::Machine`] where it has more chunks than can be counted.
    pub fn declaration(&self, proof_of_work: u64) -> Result<Command, LoadError> {
        let mut root = Root::new();
        self.chunks.iter().for_each(|chunk| root.push(&chunk_hash(chunk)));
        let chunks = u32::try_from(self.chunks.len()).map_err(|_| LoadError::Machine)?;
        let root = root.finish().to_vec();
        let step = ObjectDeclaration { chunks, root, ttl_hours: TTL_HOURS, proof_of_work };
        let step = Some(object_put::Step::Declaration(step));
        Ok(Command::ObjectPut(ObjectPut { step }))
    }

    /// The command that a chunk goes with.
    #[must_use]
    pub fn chunk(index: u32) -> Command {
        let step = Some(object_put::Step::Chunk(ObjectChunk { index }));
        Command::ObjectPut(ObjectPut { step })
    }

    /// The command that asks for up to `max` of its chunks.
    #[must_use]
    pub fn read(&self, max: u32) -> Command {
        Command::ObjectGet(ObjectGet { object_id: self.id().as_bytes().to_vec(), first: 0, max })
    }
}

impl Talk {
    /// Dials from a socket of its own, and opens a session.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn begin(path: &Path, keys: &Arc<KeyLog>) -> Result<Self, LoadError> {
        let keys = Arc::clone(keys);
        let dialler = Dialler::with_tls(path.first_hop(), 1, |tls| tls.key_log = keys).await?;
        let mut link = dialler.dial().await?;
        let mut rng = rng()?;
        let infos = Infos::fetch(&mut link, path, &mut rng).await?;
        let session = Session::open(&mut link, &infos, &mut rng).await?;
        Ok(Self { dialler, link, infos, session, rng })
    }

    /// Asks, and takes every answer up to that for `marker`, an object of one chunk at the relay.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn ask(
        &mut self,
        proof: Proof<'_>,
        command: Command,
        blob: Option<&Blob>,
        marker: &KnownObject,
    ) -> Result<Vec<(Reply, Option<Blob>)>, LoadError> {
        let auth = self.auth(proof)?;
        let due = match &command {
            Command::Get(get) => get.max,
            Command::ObjectGet(get) => get.max,
            Command::FeedGet(get) => get.max,
            _ => 1,
        };
        self.session.say(&mut self.link, auth, command, blob, &mut self.rng)?;
        self.link.flush().await?;
        let mut answers = Vec::new();
        for _ in 0..due {
            answers.push(self.hear().await?);
        }
        self.session.say(&mut self.link, None, marker.read(1), None, &mut self.rng)?;
        self.link.flush().await?;
        loop {
            let answer = self.hear().await?;
            if answer.1.is_some() && answer.1.as_ref() == marker.chunks.first() {
                return Ok(answers);
            }
            answers.push(answer);
        }
    }

    async fn hear(&mut self) -> Result<(Reply, Option<Blob>), LoadError> {
        let cell = self.link.receive().await?;
        self.session.hear(cell)
    }

    /// Asks, and takes one answer.
    ///
    /// # Errors
    /// [`LoadError`], a refusal included.
    pub async fn say(
        &mut self,
        proof: Proof<'_>,
        command: Command,
        blob: Option<&Blob>,
    ) -> Result<Reply, LoadError> {
        let auth = self.auth(proof)?;
        self.session.say(&mut self.link, auth, command, blob, &mut self.rng)?;
        self.link.flush().await?;
        Ok(self.hear().await?.0)
    }

    /// Has an object stored.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn store(&mut self, object: &KnownObject) -> Result<(), LoadError> {
        let proof = Proof::Right(Role::Write, &object.key);
        let size = u32::try_from(object.chunks.len()).map_err(|_| LoadError::Machine)?;
        let work = self.work(Purpose::Object, object.id().as_bytes(), size)?;
        self.say(proof, object.declaration(work)?, None).await?;
        for (index, chunk) in (0..).zip(&object.chunks) {
            self.say(Proof::None, KnownObject::chunk(index), Some(chunk)).await?;
        }
        Ok(())
    }

    /// The work that the relay asks for.
    ///
    /// # Errors
    /// [`LoadError::PeerMisbehaved`] where it asks for more than clients do.
    pub fn work(
        &mut self,
        purpose: Purpose,
        object_id: &[u8; 32],
        size: u32,
    ) -> Result<u64, LoadError> {
        let info = self.infos.relay();
        let challenge = Challenge { purpose, context: info.context(), object_id, size };
        let bits = info.info().proof_of_work_bits;
        let search = Search::new(&challenge, bits, self.rng.next_u64());
        let mut search = search.ok_or(LoadError::PeerMisbehaved)?;
        loop {
            if let Some(nonce) = search.advance() {
                return Ok(nonce);
            }
        }
    }

    /// A number that is no work for it.
    #[must_use]
    pub fn no_work(&mut self, purpose: Purpose, object_id: &[u8; 32], size: u32) -> u64 {
        let info = self.infos.relay();
        let challenge = Challenge { purpose, context: info.context(), object_id, size };
        let bits = info.info().proof_of_work_bits;
        let fails = |nonce: &u64| !pow::verify(&challenge, bits, *nonce);
        (0..).find(fails).unwrap_or(0)
    }

    /// Closes session and link.
    pub async fn end(mut self) {
        self.session.close(&mut self.link, &mut self.rng);
        self.link.finish().await;
        self.dialler.close().await;
    }

    fn auth(&mut self, proof: Proof<'_>) -> Result<Option<Auth>, LoadError> {
        match proof {
            Proof::None => Ok(None),
            Proof::Right(role, key) => self.session.prove(&self.infos, role, key).map(Some),
            Proof::Wrong(role, key) => {
                let mut auth = self.session.prove(&self.infos, role, key)?;
                self.rng.fill_bytes(&mut auth.mac);
                Ok(Some(auth))
            }
        }
    }
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Talk(..)")
    }
}

/// 2,400 random bytes.
#[must_use]
pub fn random_blob(rng: &mut ChaCha20Rng) -> Blob {
    let mut bytes = Box::new([0; BLOB_LEN]);
    rng.fill_bytes(&mut bytes[..]);
    Blob::new(bytes)
}
