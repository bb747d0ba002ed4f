//! `grpc.health.v1`: whether questions are answered, as `/readyz` says it.
//!
//! It deliberately keeps nothing: readiness is asked each time, and by who watches once a second.

use super::SERVICE;
use crate::telemetry::Readiness;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// How often readiness is asked for who watches.
const EVERY: Duration = Duration::from_secs(1);

/// Readiness in the words of gRPC.
#[derive(Debug)]
pub struct Vitals(pub Arc<Readiness>);

impl Vitals {
    fn status(&self) -> ServingStatus {
        if self.0.reasons().is_empty() && self.0.stuck().is_empty() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }
}

/// The whole, which has no name, and the one that is served.
fn is_ours(service: &str) -> bool {
    service.is_empty() || service == SERVICE
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[async_trait]
impl Health for Vitals {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_ours(&request.get_ref().service) {
            return Err(Status::not_found("nothing of this name is served here"));
        }
        Ok(Response::new(told(self.status())))
    }

    /// Says what is, and then each change.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !is_ours(&request.get_ref().service) {
            let unknown = futures_util::stream::iter([Ok(told(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(unknown.boxed()));
        }
        let vitals = Self(Arc::clone(&self.0));
        let changes = unfold((vitals, None), async |(vitals, last)| {
            let mut status = vitals.status();
            while Some(status) == last {
                tokio::time::sleep(EVERY).await;
                status = vitals.status();
            }
            Some((Ok(told(status)), (vitals, Some(status))))
        });
        Ok(Response::new(changes.boxed()))
    }
}
