//! `At`: a timestamp as Postgres has it: microseconds since 2000-01-01T00:00:00Z.

use std::error::Error;

use sqlx::encode::IsNull;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

use crate::domain::Timestamp;

/// 2000-01-01T00:00:00Z, in milliseconds since 1970.
const EPOCH_MS: i64 = 946_684_800_000;

/// The types' numbers, which are the same in every database (`pg_type.dat`). By their names they would be looked up on each
/// connection.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

/// A `timestamptz`. In its binary form, as all parameters and their results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct At(pub(super) Timestamp);

impl Type<Postgres> for At {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for At {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for At {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, Box<dyn Error + Send + Sync>> {
        let micros = (self.0.as_millis() - EPOCH_MS) * 1000;
        Encode::<Postgres>::encode(micros, buffer)
    }
}

impl Decode<'_, Postgres> for At {
    fn decode(value: PgValueRef<'_>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        if value.format() == PgValueFormat::Text {
            return Err("a timestamp in text form".into());
        }
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        let timestamp = Timestamp::from_millis(micros.div_euclid(1000) + EPOCH_MS);
        timestamp.map(At).ok_or_else(|| "a timestamp that is none of a position".into())
    }
}
