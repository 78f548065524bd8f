//! `AuthError`: why nobody can say who someone is.

use std::path::PathBuf;

use crate::settings::Algorithm;

/// Why nobody can say who someone is.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A file cannot be read.
    #[error("setting AUTH_JWT_PUBLIC_KEY_FILE: {} cannot be read: {source}", .file.display())]
    KeyFile {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It holds a key that only whoever signs tokens should have.
    #[error("setting AUTH_JWT_PUBLIC_KEY_FILE: {} holds a private key, which does not belong here: name the public one's file", .0.display())]
    PrivateKey(PathBuf),
    /// It holds no such key.
    #[error("setting AUTH_JWT_PUBLIC_KEY_FILE: {} holds no public key for {} in PEM format", .file.display(), .algorithm.name())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What the key is for.
        algorithm: Algorithm,
    },
}
