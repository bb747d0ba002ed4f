//! The vault: snapshots of partitions in an object store, a folder by default.
//!
//! A snapshot's name is its partition and offset, so that the newest is found by listing. Objects
//! appear whole or not at all (the store's promise; a folder renames). Old ones are pruned. What
//! the bytes mean is `snapshot`'s business.

use crate::config::Config;
use crate::config::Place;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Objects larger than this go up in parts of this size.
const PART_BYTES: usize = 16 * 1024 * 1024;
/// Parts on their way at once.
const PARTS: usize = 4;
/// The ending of a snapshot's name.
const ENDING: &str = ".varsel";

/// Why the vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its place cannot be used at all.
    #[error(
        "checkpoints cannot be kept at `{url}`: {reason}\n  = help: name a folder that this user may write to, or `s3://bucket/prefix`, as `checkpoint.url`"
    )]
    Place {
        /// The place.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A read or write failed.
    #[error("checkpoint `{object}` at `{url}` cannot be {doing}: {reason}")]
    Object {
        /// The place.
        url: String,
        /// The object's name.
        object: String,
        /// `read`, `written`, `listed` or `removed`.
        doing: &'static str,
        /// Why not.
        reason: String,
    },
}

/// Where snapshots are kept.
#[derive(Debug)]
pub struct Vault {
    store: Arc<dyn ObjectStore>,
    url: String,
    prefix: Path,
    keep: usize,
    runtime: Runtime,
}

impl Vault {
    /// Opens the vault of a log, and writes and removes an object, so that a place that cannot be
    /// written is known at once.
    ///
    /// # Errors
    /// Where the place cannot be used.
    pub fn open(config: &Config) -> Result<Self, VaultError> {
        let url = shown(&config.checkpoint.place);
        let place = |reason: String| VaultError::Place {
            url: url.clone(),
            reason,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| place(error.to_string()))?;
        let (store, base) = store_at(&config.checkpoint.place).map_err(place)?;
        let vault = Self {
            store,
            prefix: Path::from(format!("{base}{}", config.topics.log)),
            keep: config.checkpoint.keep.max(1),
            runtime,
            url: url.clone(),
        };
        vault.probe(&config.run.instance).map_err(place)?;
        Ok(vault)
    }

    fn probe(&self, instance: &str) -> Result<(), String> {
        let name = self.prefix.clone().join(format!("probe-{instance}"));
        self.runtime
            .block_on(async {
                self.store.put(&name, PutPayload::from_static(b"?")).await?;
                self.store.delete(&name).await
            })
            .map_err(|error| error.to_string())
    }

    fn name(&self, partition: i32, offset: i64) -> Path {
        self.folder(partition).join(format!("{offset:020}{ENDING}"))
    }

    fn folder(&self, partition: i32) -> Path {
        self.prefix.clone().join(format!("{partition:05}"))
    }

    fn failed(
        &self,
        object: &Path,
        doing: &'static str,
    ) -> impl FnOnce(object_store::Error) -> VaultError {
        let (url, object) = (self.url.clone(), object.to_string());
        move |error| VaultError::Object {
            url,
            object,
            doing,
            reason: error.to_string(),
        }
    }

    /// Offsets of the snapshots of a partition, the newest first.
    ///
    /// # Errors
    /// Where the store cannot be listed.
    pub fn offsets(&self, partition: i32) -> Result<Vec<i64>, VaultError> {
        let folder = self.folder(partition);
        let listed: Result<Vec<_>, _> = self
            .runtime
            .block_on(self.store.list(Some(&folder)).try_collect());
        let mut offsets: Vec<i64> = listed
            .map_err(self.failed(&folder, "listed"))?
            .iter()
            .filter_map(|meta| {
                let name = meta.location.filename()?.strip_suffix(ENDING)?;
                name.parse().ok()
            })
            .collect();
        offsets.sort_unstable_by(|a, b| b.cmp(a));
        Ok(offsets)
    }

    /// A snapshot's bytes.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn get(&self, partition: i32, offset: i64) -> Result<Vec<u8>, VaultError> {
        let name = self.name(partition, offset);
        let read = async { self.store.get(&name).await?.bytes().await };
        let bytes = self.runtime.block_on(read);
        Ok(bytes.map_err(self.failed(&name, "read"))?.into())
    }

    /// Keeps a snapshot, and removes those of the partition that are older than the newest few.
    ///
    /// # Errors
    /// Where it cannot be written. One that cannot be removed is only logged.
    pub fn put(&self, partition: i32, offset: i64, bytes: Bytes) -> Result<(), VaultError> {
        let name = self.name(partition, offset);
        let written = self.runtime.block_on(async {
            if bytes.len() <= PART_BYTES {
                return self
                    .store
                    .put(&name, PutPayload::from(bytes))
                    .await
                    .map(drop);
            }
            let upload = self.store.put_multipart(&name).await?;
            let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            for part in bytes.chunks(PART_BYTES) {
                parts.wait_for_capacity(PARTS).await?;
                parts.put(bytes.slice_ref(part));
            }
            parts.finish().await.map(drop)
        });
        written.map_err(self.failed(&name, "written"))?;
        if let Err(error) = self.prune(partition) {
            tracing::warn!(%error, "an old checkpoint stays");
        }
        Ok(())
    }

    fn prune(&self, partition: i32) -> Result<(), VaultError> {
        for offset in self.offsets(partition)?.into_iter().skip(self.keep) {
            let name = self.name(partition, offset);
            self.runtime
                .block_on(self.store.delete(&name))
                .map_err(self.failed(&name, "removed"))?;
        }
        Ok(())
    }
}

/// The store that a place means, and the prefix within it.
fn store_at(place: &Place) -> Result<(Arc<dyn ObjectStore>, String), String> {
    match place {
        Place::Bucket { bucket, prefix } => {
            let store = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .build()
                .map_err(|error| error.to_string())?;
            let base = if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            };
            Ok((Arc::new(store), base))
        }
        Place::Folder(folder) => {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            let store =
                LocalFileSystem::new_with_prefix(folder).map_err(|error| error.to_string())?;
            Ok((Arc::new(store), String::new()))
        }
    }
}

/// A place as people write it.
fn shown(place: &Place) -> String {
    match place {
        Place::Bucket { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
        Place::Folder(folder) => folder.display().to_string(),
    }
}
