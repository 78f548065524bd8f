//! `Revocation`: that tokens which were issued before it hold no more, or not for a topic.

use super::pattern::TopicPattern;
use super::principal::Principal;
use super::timestamp::Timestamp;
use super::topic::Topic;

/// That tokens which were issued before it hold no more, or not for a topic. It says nothing of tokens that are issued later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What is revoked.
    pub revoked: Revoked,
    /// When it was. Tokens that were issued up to then are meant, and such as do not say when they were.
    pub revoked_at: Timestamp,
    /// From when on no token can live that is meant, so that it need not be remembered; `None`: it holds for ever.
    pub until: Option<Timestamp>,
}

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// All tokens of a subject.
    Subject(String),
    /// The token with this id.
    Token(String),
    /// Nobody may read these topics with the token that he has.
    Topic(TopicPattern),
}

impl Revocation {
    /// True if the principal's token holds no more.
    pub fn ends(&self, principal: &Principal) -> bool {
        let is_meant = match &self.revoked {
            Revoked::Subject(subject) => **subject == *principal.subject,
            Revoked::Token(id) => principal.token_id.as_deref() == Some(id),
            Revoked::Topic(_) => false,
        };
        is_meant && self.is_after(principal)
    }

    /// True if the principal may not read the topic with its token any more.
    pub fn forbids(&self, principal: &Principal, topic: &Topic) -> bool {
        matches!(&self.revoked, Revoked::Topic(pattern) if pattern.touches(topic)) && self.is_after(principal)
    }

    /// True if it has to be remembered at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn is_after(&self, principal: &Principal) -> bool {
        principal.issued_at.is_none_or(|issued_at| issued_at <= self.revoked_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(issued_at: Option<i64>) -> Principal {
        Principal {
            subject: "ann".into(),
            token_id: Some("t1".into()),
            topics: Vec::new(),
            devices: Vec::new(),
            issued_at: issued_at.and_then(Timestamp::from_millis),
            expires_at: None,
            ends_at: None,
        }
    }

    fn revocation(revoked: Revoked) -> Revocation {
        Revocation { revoked, revoked_at: Timestamp::from_millis(1000).unwrap(), until: None }
    }

    #[test]
    fn tokens_that_were_issued_before_are_meant() {
        let ann = revocation(Revoked::Subject("ann".into()));
        assert!(
            ann.ends(&principal(Some(999))) && ann.ends(&principal(Some(1000))) && ann.ends(&principal(None))
        );
        assert!(!ann.ends(&principal(Some(1001))));
        assert!(!revocation(Revoked::Subject("an".into())).ends(&principal(None)));
        assert!(revocation(Revoked::Token("t1".into())).ends(&principal(None)));
        assert!(!revocation(Revoked::Token("ann".into())).ends(&principal(None)));
    }

    #[test]
    fn a_topic_is_forbidden_and_nobody_ended() {
        let rally = revocation(Revoked::Topic(TopicPattern::parse("event:rally*").unwrap()));
        let topic = Topic::parse("event:rally-1").unwrap();
        assert!(rally.forbids(&principal(None), &topic) && !rally.ends(&principal(None)));
        assert!(!rally.forbids(&principal(Some(1001)), &topic));
        assert!(!rally.forbids(&principal(None), &Topic::parse("device:rally").unwrap()));
    }

    #[test]
    fn it_is_remembered_for_as_long_as_tokens_live() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let mut one = revocation(Revoked::Subject("ann".into()));
        assert!(one.holds(at(i64::from(i32::MAX))));
        one.until = Some(at(2000));
        assert!(one.holds(at(1999)) && !one.holds(at(2000)));
    }
}
