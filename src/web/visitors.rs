//! `Visitors`: who may see the page, where that is asked; what others are answered.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use futures_util::future::BoxFuture;

use super::reply;
use crate::domain::{ClientNetwork, Credentials, NotIdentified, credentials};
use crate::http::head as http_head;

/// Whoever knows the credentials of those who open the page.
pub trait Visitors: Send + Sync + 'static {
    /// Says whether whoever shows these, and is there, may see it. The future ends in bounded time.
    fn check(
        &self,
        credentials: Credentials,
        from: ClientNetwork,
    ) -> BoxFuture<'static, Result<(), NotIdentified>>;
}

/// Who is asked, and the cookie that credentials may come in.
pub(super) struct Guard {
    pub(super) visitors: Arc<dyn Visitors>,
    pub(super) cookie: Option<String>,
}

impl Guard {
    /// Looks at the head of a request.
    ///
    /// # Errors
    /// The response for whoever may not see the page.
    pub(super) async fn check(&self, head: &RequestHead) -> Result<(), HttpResponse> {
        let text = |name| texts(head.headers(), name).next();
        let cookie = self.cookie.as_deref().and_then(|name| {
            texts(head.headers(), header::COOKIE).find_map(|value| credentials::cookie(value, name))
        });
        let shown = Credentials {
            authorization: text(header::AUTHORIZATION).filter(|value| !value.is_empty()).map(str::to_owned),
            token: None,
            cookie: cookie.map(str::to_owned),
            // One answer is for the page and all of its files.
            path: "/".to_owned(),
        };
        self.visitors.check(shown, http_head::peer(head).into()).await.map_err(response)
    }
}

fn texts(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).filter_map(|value| value.to_str().ok())
}

fn response(why: NotIdentified) -> HttpResponse {
    let (status, message, header) = match why {
        NotIdentified::Missing | NotIdentified::Expired | NotIdentified::Refused => (
            StatusCode::UNAUTHORIZED,
            "you are not logged in: the page needs a token in the cookie of AUTH_COOKIE, or in the header Authorization",
            Some((header::WWW_AUTHENTICATE, "Bearer")),
        ),
        NotIdentified::Forbidden => (StatusCode::FORBIDDEN, "you may not see this page any more", None),
        NotIdentified::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "it cannot be checked now who you are: try again in a moment",
            Some((header::RETRY_AFTER, "1")),
        ),
    };
    let mut response = reply::text(status, message);
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
