//! `Coding`: in which form a file is sent, chosen by `Accept-Encoding` (RFC 9110 section 12.5.3); pure.

/// A form in which there is each file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `br`
    Brotli,
    /// `gzip`
    Gzip,
    /// As it is.
    Identity,
}

impl Coding {
    /// The value of `Content-Encoding`, if there is to be one.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// The one that the client likes best; of those that it likes alike, the shortest. Where it accepts none, the file as
    /// it is: the RFC allows it, and a refusal would help nobody.
    pub(super) fn choose(accepted: Option<&str>) -> Self {
        let Some(accepted) = accepted else { return Self::Identity };
        let weight = |names: &[&str]| {
            let of = |name: &str| members(accepted).find(|(coding, _)| coding.eq_ignore_ascii_case(name));
            names.iter().find_map(|name| of(name)).map(|(_, weight)| weight)
        };
        let any = weight(&["*"]);
        let brotli = weight(&["br"]).or(any).unwrap_or(0);
        let gzip = weight(&["gzip", "x-gzip"]).or(any).unwrap_or(0);
        // Always acceptable unless it is ruled out, but where it is not named anything that is named is liked better.
        let identity = weight(&["identity"]).unwrap_or(0);
        if brotli > 0 && brotli >= gzip && brotli >= identity {
            Self::Brotli
        } else if gzip > 0 && gzip >= identity {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// The codings of the list with their weights in thousandths. One whose weight cannot be read has none.
fn members(accepted: &str) -> impl Iterator<Item = (&str, u32)> {
    accepted.split(',').map(|member| {
        let (coding, parameters) = member.split_once(';').unwrap_or((member, ""));
        (coding.trim_ascii(), weight(parameters.trim_ascii()))
    })
}

/// The weight that these parameters give, in thousandths (RFC 9110 section 12.4.2).
fn weight(parameters: &str) -> u32 {
    if parameters.is_empty() {
        return 1000;
    }
    let quality =
        parameters.strip_prefix(['q', 'Q']).and_then(|rest| rest.trim_ascii_start().strip_prefix('='));
    let (whole, fraction) = match quality.map(str::trim_ascii) {
        Some(quality) => quality.split_once('.').unwrap_or((quality, "")),
        None => return 0,
    };
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = format!("{fraction:0<3}").parse().unwrap_or(0);
    match whole {
        "0" if is_fraction => fraction,
        "1" if is_fraction && fraction == 0 => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_client_s_weights_decide_and_then_the_length() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("br;q=1.0, gzip;q=1.0, *;q=0.5", Coding::Brotli),
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("GZip;Q=0.5", Coding::Gzip),
            ("br;q=0.5, gzip", Coding::Gzip),
            ("br;q=0.001, gzip;q=0", Coding::Brotli),
            ("br;q=0, gzip;q=0", Coding::Identity),
            ("br;q=0.000, *", Coding::Gzip),
            ("*", Coding::Brotli),
            ("*;q=0", Coding::Identity),
            ("*;q=0, gzip", Coding::Gzip),
            ("identity", Coding::Identity),
            ("identity, gzip;q=0.5", Coding::Identity),
            ("identity;q=0.5, gzip", Coding::Gzip),
            ("identity;q=0", Coding::Identity),
            ("identity;q=0, br", Coding::Brotli),
            ("deflate, zstd", Coding::Identity),
            ("br ; q = 0 , gzip ; q=1", Coding::Gzip),
            ("br;q=2, gzip;q=0.1", Coding::Gzip),
            ("br;q=0.1234, gzip;q=0.1", Coding::Gzip),
            ("br;q=-1, gzip;q=x", Coding::Identity),
            ("br;level=3", Coding::Identity),
            ("", Coding::Identity),
            (",,;;", Coding::Identity),
        ] {
            assert_eq!(Coding::choose(Some(accepted)), expected, "{accepted}");
        }
        assert_eq!(Coding::choose(None), Coding::Identity);
    }

    proptest! {
        #[test]
        fn what_is_ruled_out_is_not_chosen(others in r"[a-z*;=q0-9., ]{0,20}|\PC{0,20}") {
            let chosen = Coding::choose(Some(&format!("br;q=0,gzip;q=0.0,{others}")));
            prop_assert_eq!(chosen, Coding::Identity);
        }
    }
}
