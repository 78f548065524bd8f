//! Who may see the map page, where that is asked.

use serde_json::json;

use crate::harness::{Server, command, folder, get_with, jwt_and, token};

async fn status(server: &Server, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    get_with(server.web(), path, headers).await
}

#[actix::test]
async fn the_page_is_for_those_whose_token_is_accepted() {
    let folder = folder();
    let settings = jwt_and(&[
        ("WEB_AUTH", "true"),
        ("AUTH_COOKIE", "session"),
        ("LIVE_WS_ALLOWED_ORIGINS", "http://localhost"),
    ]);
    let server = Server::start(folder.path(), &settings);
    let good = token("ann", json!({ "topics": ["*"] }));
    let (cookie, header) = (format!("a=b; session={good}"), format!("Bearer {good}"));
    for path in ["/", "/config.json", "/nowhere"] {
        let (code, text) = status(&server, path, &[]).await;
        assert_eq!(code, 401, "{path}");
        assert!(text.contains("you are not logged in") && !text.contains("<script"), "{text}");
        assert_eq!(status(&server, path, &[("Cookie", "session=nonsense")]).await.0, 401, "{path}");
    }
    for path in ["/", "/config.json"] {
        assert_eq!(status(&server, path, &[("Cookie", &cookie)]).await.0, 200, "{path}");
        assert_eq!(status(&server, path, &[("Authorization", &header)]).await.0, 200, "{path}");
    }
    server.revoke(&json!({ "subject": "ann" })).await;
    assert_eq!(status(&server, "/", &[("Cookie", &cookie)]).await.0, 403);
}

#[actix::test]
async fn without_that_setting_it_is_for_everyone_and_without_auth_there_is_none() {
    let folder = folder();
    let server = Server::start(folder.path(), &jwt_and(&[]));
    assert_eq!(status(&server, "/", &[]).await.0, 200);
    let output = command(folder.path(), &[("WEB_AUTH", "true")]).arg("check").output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && log.contains("false while AUTH is none"), "{log}");
}
