//! The routes, and the OpenAPI document that is made of the very same definitions.

mod blocks;
mod daemon;
mod dht;
mod events;
mod find;
mod index;
mod mail;
mod making;
mod overlay;
mod places;
mod settings;
#[cfg(test)]
mod tests;
mod torrents;
mod watch;

use super::app::App;
use super::error::ApiError;
use super::guard::{self, Guard};
use super::limits::{BODY_BYTES_MAX, UPLOAD_BODY_BYTES_MAX};
use super::torznab;
use super::types::{ErrorCode, schema_examples};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use std::sync::Arc;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Schema, SecurityRequirement};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use watch::STREAM_PREFIX;

/// Where the versioned routes begin.
pub const PREFIX: &str = "/api/v1";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Althing",
        description = "The HTTP API of an Althing daemon. Every route wants the token from \
            `api.token` in the data folder as `Authorization: Bearer TOKEN`; where a password is \
            set, that will do too, as the password of HTTP basic authentication. The `Host` header \
            must name this machine, and there is no CORS.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "torrents", description = "What is fetched and shared"),
        (name = "making", description = "Making torrents, and looking into them"),
        (name = "dht", description = "The DHT, where peers find each other without a tracker"),
        (name = "index", description = "What there is to find, as far as this peer knows"),
        (name = "overlay", description = "The overlay, in which peers tell each other what they have"),
        (name = "mail", description = "Private messages between two peers"),
        (name = "find", description = "Searches: who has what"),
        (name = "blocks", description = "What this peer does not show, offer or fetch"),
        (name = "daemon", description = "The daemon as a whole"),
    ),
    components(schemas(super::types::Event, super::types::FindEvent)),
    modifiers(&Door, &Examples),
)]
struct Document;

/// Says what opens the API.
struct Door;

impl Modify for Door {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, scheme) in
            [("token", HttpAuthScheme::Bearer), ("password", HttpAuthScheme::Basic)]
        {
            let scheme = HttpBuilder::new().scheme(scheme).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
        document.security = Some(vec![
            SecurityRequirement::new("token", [] as [&str; 0]),
            SecurityRequirement::new("password", [] as [&str; 0]),
        ]);
    }
}

/// Puts an example to every schema that has one.
struct Examples;

impl Modify for Examples {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for example in schema_examples() {
            let Some(RefOr::T(schema)) = components.schemas.get_mut(example.schema) else {
                continue;
            };
            let examples = match schema {
                Schema::Object(object) => &mut object.examples,
                Schema::Array(array) => &mut array.examples,
                Schema::OneOf(one_of) => &mut one_of.examples,
                Schema::AllOf(all_of) => &mut all_of.examples,
                Schema::AnyOf(any_of) => &mut any_of.examples,
                _ => continue,
            };
            *examples = vec![example.value];
        }
    }
}

fn table() -> OpenApiRouter<App> {
    let uploads = OpenApiRouter::new()
        .routes(routes!(torrents::add))
        .routes(routes!(making::inspect))
        .layer(DefaultBodyLimit::max(UPLOAD_BODY_BYTES_MAX));
    let others = OpenApiRouter::new()
        .routes(routes!(torrents::list))
        .routes(routes!(torrents::show, torrents::change, torrents::remove))
        .routes(routes!(torrents::pause))
        .routes(routes!(torrents::resume))
        .routes(routes!(torrents::verify))
        .routes(routes!(places::relocate))
        .routes(routes!(places::locate))
        .routes(routes!(torrents::peers, torrents::add_peers))
        .routes(routes!(torrents::files))
        .routes(routes!(watch::content))
        .routes(routes!(watch::open))
        .routes(routes!(watch::close))
        .routes(routes!(torrents::trackers))
        .routes(routes!(torrents::pieces))
        .routes(routes!(torrents::metainfo))
        .routes(routes!(making::share))
        .routes(routes!(making::create))
        .routes(routes!(making::jobs))
        .routes(routes!(making::job))
        .routes(routes!(daemon::session))
        .routes(routes!(daemon::network))
        .routes(routes!(dht::status))
        .routes(routes!(dht::lookup))
        .routes(routes!(dht::crawler))
        .routes(routes!(dht::put))
        .routes(routes!(dht::get))
        .routes(routes!(dht::torrent))
        .routes(routes!(overlay::status))
        .routes(routes!(overlay::records))
        .routes(routes!(overlay::profile))
        .routes(routes!(overlay::list))
        .routes(routes!(mail::list, mail::send))
        .routes(routes!(mail::read))
        .routes(routes!(mail::remove))
        .routes(routes!(find::begin, find::list))
        .routes(routes!(find::show, find::stop))
        .routes(routes!(find::answer))
        .routes(routes!(find::events))
        .routes(routes!(index::status))
        .routes(routes!(index::search))
        .routes(routes!(blocks::status, blocks::add, blocks::remove))
        .routes(routes!(blocks::lists))
        .routes(routes!(blocks::publish, blocks::unpublish))
        .routes(routes!(blocks::subscribe, blocks::unsubscribe))
        .routes(routes!(torznab::info))
        .routes(routes!(daemon::config, settings::change))
        .routes(routes!(settings::categories))
        .routes(routes!(settings::set_category, settings::remove_category))
        .routes(routes!(settings::queue))
        .routes(routes!(daemon::shutdown))
        .routes(routes!(daemon::openapi))
        .routes(routes!(events::events))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    OpenApiRouter::with_openapi(Document::openapi())
        .nest(PREFIX, uploads.merge(others))
        .routes(routes!(daemon::metrics))
}

/// The OpenAPI document: every route with what it takes and answers.
pub fn openapi() -> OpenApi {
    let mut document = table().into_openapi();
    // The schemas came with the routes, after the document's own modifiers had run.
    Examples.modify(&mut document);
    document
}

/// Everything a request passes.
pub(super) fn router(app: App, guard: Arc<Guard>) -> Router {
    let (router, _) = table().split_for_parts();
    router
        .route(&format!("{STREAM_PREFIX}{{token}}/{{name}}"), get(watch::stream))
        .route(torznab::PATH, get(torznab::answer))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(guard::timeout))
        .layer(from_fn_with_state(guard, guard::guard))
        .with_state(app)
}

async fn no_such_route(request: Request) -> ApiError {
    ApiError::new(
        ErrorCode::NoSuchRoute,
        format!("there is no route {}", request.uri().path()),
        ROUTES_HINT,
    )
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        format!("{} has no method {}", request.uri().path(), request.method()),
        ROUTES_HINT,
    )
}

const ROUTES_HINT: &str = "GET /api/v1/openapi.json lists the routes there are";
