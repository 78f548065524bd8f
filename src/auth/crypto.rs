//! The cryptography of tokens: *ring*, in the form that `jsonwebtoken` asks for.
//!
//! Of the two that `jsonwebtoken` brings, one needs 36 crates more, among them an `rsa` with an open advisory
//! (RUSTSEC-2023-0071), the other the whole of AWS-LC, in C. *ring* is what TLS uses here.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::{hmac, signature};

/// What is installed for the whole process. Key utilities are for making sets of keys, which is not done here.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has `jsonwebtoken` use this, in the whole process. To be called before anything of it is used; may be called again.
pub(super) fn install() {
    // An error says that it was installed before.
    PROVIDER.install_default().ok();
}

/// Checks signatures.
struct Checker {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Makes signatures.
struct Writer {
    algorithm: Algorithm,
    key: EncodingKey,
}

/// A key of another family than the algorithm's is refused: a public key taken for a secret would let everyone sign.
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(Checker { algorithm: *algorithm, key: key.clone() }))
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(Box::new(Writer { algorithm: *algorithm, key: key.clone() }))
}

/// How an algorithm is checked with a public key.
enum Public {
    Rsa(&'static signature::RsaParameters),
    Other(&'static dyn signature::VerificationAlgorithm),
}

/// The HMAC of an algorithm that has one.
fn hmac_of(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

fn public_of(algorithm: Algorithm) -> Option<Public> {
    Some(match algorithm {
        Algorithm::RS256 => Public::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Public::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Public::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Public::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Public::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Public::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Public::Other(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Public::Other(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Public::Other(&signature::ED25519),
        _ => return None,
    })
}

impl Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let wrong = |_| SignatureError::new();
        let bytes = || self.key.try_get_as_bytes().map_err(|_| SignatureError::new());
        if let Some(algorithm) = hmac_of(self.algorithm) {
            // Compares in constant time.
            return hmac::verify(&hmac::Key::new(algorithm, bytes()?), message, signature).map_err(wrong);
        }
        match (public_of(self.algorithm), self.key.kind()) {
            (Some(Public::Rsa(parameters)), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(parameters, message, signature).map_err(wrong)
            }
            (Some(Public::Rsa(parameters)), DecodingKeyKind::SecretOrDer(der)) => {
                signature::UnparsedPublicKey::new(parameters, der).verify(message, signature).map_err(wrong)
            }
            (Some(Public::Other(algorithm)), _) => signature::UnparsedPublicKey::new(algorithm, bytes()?)
                .verify(message, signature)
                .map_err(wrong),
            (None, _) => Err(SignatureError::new()),
        }
    }
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Signer<Vec<u8>> for Writer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let key = self.key.as_bytes();
        let random = SystemRandom::new();
        let ecdsa = |algorithm| {
            let pair = signature::EcdsaKeyPair::from_pkcs8(algorithm, key, &random);
            let pair = pair.map_err(|_| SignatureError::new())?;
            let signed = pair.sign(&random, message).map_err(|_| SignatureError::new())?;
            Ok(signed.as_ref().to_vec())
        };
        let rsa = |encoding: &'static dyn signature::RsaEncoding| {
            let pair = signature::RsaKeyPair::from_der(key).map_err(|_| SignatureError::new())?;
            let mut signed = vec![0; pair.public().modulus_len()];
            pair.sign(encoding, &random, message, &mut signed).map_err(|_| SignatureError::new())?;
            Ok(signed)
        };
        match self.algorithm {
            Algorithm::RS256 => rsa(&signature::RSA_PKCS1_SHA256),
            Algorithm::RS384 => rsa(&signature::RSA_PKCS1_SHA384),
            Algorithm::RS512 => rsa(&signature::RSA_PKCS1_SHA512),
            Algorithm::PS256 => rsa(&signature::RSA_PSS_SHA256),
            Algorithm::PS384 => rsa(&signature::RSA_PSS_SHA384),
            Algorithm::PS512 => rsa(&signature::RSA_PSS_SHA512),
            Algorithm::ES256 => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => {
                let pair = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(key);
                Ok(pair.map_err(|_| SignatureError::new())?.sign(message).as_ref().to_vec())
            }
            _ => {
                let algorithm = hmac_of(self.algorithm).ok_or_else(SignatureError::new)?;
                Ok(hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec())
            }
        }
    }
}

impl JwtSigner for Writer {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
