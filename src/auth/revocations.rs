//! `Revocations`: what was revoked and has to be remembered; which principals and topics that is about.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::domain::{Principal, Revocation, Revoked, Timestamp, Topic};

/// What was revoked. Of each thing the last revocation.
#[derive(Debug, Default)]
pub struct Revocations(RwLock<Held>);

#[derive(Debug, Default)]
struct Held {
    subjects: HashMap<String, Revocation>,
    tokens: HashMap<String, Revocation>,
    /// By the pattern, as it is written.
    topics: HashMap<String, Revocation>,
}

impl Revocations {
    /// Notes revocations, in any order and as often as they come. Returns those that were not known.
    pub fn add(&self, revocations: Vec<Revocation>, now: Timestamp) -> Vec<Revocation> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.forget(now);
        let mut new = Vec::new();
        for revocation in revocations.into_iter().filter(|revocation| revocation.holds(now)) {
            if held.add(&revocation) {
                new.push(revocation);
            }
        }
        new
    }

    /// True if the principal's token holds no more.
    pub fn end(&self, principal: &Principal) -> bool {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let id = principal.token_id.as_deref();
        let token = id.and_then(|id| held.tokens.get(id));
        let mut about = held.subjects.get(&*principal.subject).into_iter().chain(token);
        about.any(|revocation| revocation.ends(principal))
    }

    /// True if the principal may not read a topic any more.
    pub fn forbid(&self, principal: &Principal, topic: &Topic) -> bool {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.topics.values().any(|revocation| revocation.forbids(principal, topic))
    }
}

impl Held {
    fn add(&mut self, revocation: &Revocation) -> bool {
        let known = match &revocation.revoked {
            Revoked::Subject(subject) => self.subjects.get_mut(subject),
            Revoked::Token(id) => self.tokens.get_mut(id),
            Revoked::Topic(pattern) => self.topics.get_mut(&pattern.to_string()),
        };
        if let Some(known) = known {
            let is_newer = revocation.revoked_at > known.revoked_at;
            if is_newer {
                *known = revocation.clone();
            }
            return is_newer;
        }
        match &revocation.revoked {
            Revoked::Subject(subject) => drop(self.subjects.insert(subject.clone(), revocation.clone())),
            Revoked::Token(id) => drop(self.tokens.insert(id.clone(), revocation.clone())),
            Revoked::Topic(pattern) => drop(self.topics.insert(pattern.to_string(), revocation.clone())),
        }
        true
    }

    fn forget(&mut self, now: Timestamp) {
        self.subjects.retain(|_, revocation| revocation.holds(now));
        self.tokens.retain(|_, revocation| revocation.holds(now));
        self.topics.retain(|_, revocation| revocation.holds(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TopicPattern;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn revocation(revoked: Revoked, revoked_at: i64, until: i64) -> Revocation {
        Revocation { revoked, revoked_at: at(revoked_at), until: Some(at(until)) }
    }

    fn principal(subject: &str, token: &str, issued_at: i64) -> Principal {
        Principal {
            subject: subject.into(),
            token_id: Some(token.into()),
            topics: Vec::new(),
            devices: Vec::new(),
            issued_at: Some(at(issued_at)),
            expires_at: None,
            ends_at: None,
        }
    }

    #[test]
    fn who_and_what_is_meant() {
        let revocations = Revocations::default();
        let topic = Topic::parse("event:a").unwrap();
        let all = vec![
            revocation(Revoked::Subject("ann".into()), 10, 100),
            revocation(Revoked::Token("7".into()), 10, 100),
            revocation(Revoked::Topic(TopicPattern::parse("event:*").unwrap()), 10, 100),
        ];
        assert_eq!(revocations.add(all.clone(), at(10)), all);
        assert!(revocations.add(all, at(11)).is_empty());
        assert!(revocations.end(&principal("ann", "1", 10)) && !revocations.end(&principal("ann", "1", 11)));
        assert!(revocations.end(&principal("bob", "7", 9)) && !revocations.end(&principal("bob", "8", 9)));
        assert!(revocations.forbid(&principal("bob", "8", 10), &topic));
        assert!(!revocations.forbid(&principal("bob", "8", 11), &topic));
    }

    #[test]
    fn the_later_holds_and_ends_in_its_time() {
        let revocations = Revocations::default();
        let ann = |revoked_at, until| vec![revocation(Revoked::Subject("ann".into()), revoked_at, until)];
        assert_eq!(revocations.add(ann(10, 100), at(10)).len(), 1);
        assert_eq!(revocations.add(ann(20, 110), at(20)).len(), 1);
        assert!(revocations.add(ann(15, 105), at(20)).is_empty());
        assert!(revocations.end(&principal("ann", "1", 20)));
        assert!(revocations.add(ann(20, 110), at(110)).is_empty());
        assert!(!revocations.end(&principal("ann", "1", 20)));
    }
}
