//! Cases of cut connections, killed processes and strangers.

use core::time::Duration;

use super::{
    Ability, Course, Ends, Verdict,
    traffic::{address, receive, receive_all, receive_each, send_all},
};

pub(super) async fn cut<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let cutting = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if ends.cut().await == Ability::Missing {
                return Err(Verdict::Skipped("there is no connection to cut"));
            }
        }
        Ok(())
    };
    let sending = async {
        for some in 0..20 {
            send_all(ends.a(), &reader, some * 25..(some + 1) * 25, patience).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    let receiving = receive_each(ends.b(), &reader, 0..500, patience, ends.keeps_order_when_cut());
    tokio::try_join!(cutting, sending, receiving).map(|_| ())
}

/// Five are processed, five are in hand and ten are under way when `b` is killed.
pub(super) async fn restarted<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let first = async {
        receive_all(ends.b(), &reader, 0..5, patience).await?;
        let mut hands = Vec::new();
        for _ in 0..5 {
            hands.push(receive(ends.b(), &reader, patience).await?);
        }
        Ok(hands)
    };
    let (_, hands) = tokio::try_join!(send_all(ends.a(), &reader, 0..20, patience), first)?;
    if ends.restart_b().await == Ability::Missing {
        return Err(Verdict::Skipped("its ends are one process"));
    }
    drop(hands);
    receive_some(ends, patience).await
}

/// All from the sixth on must come; of the first five, those may whose acknowledgement was lost with the process.
async fn receive_some<E: Ends>(ends: &E, patience: Duration) -> Course {
    use super::traffic::{acknowledge, number_of};
    use crate::transport::Delivery;

    let reader = address("reader@b")?;
    let mut missing: std::collections::BTreeSet<u64> = (5..20).collect();
    while !missing.is_empty() {
        let delivery = receive(ends.b(), &reader, patience).await?;
        missing.remove(&number_of(delivery.bytes())?);
        acknowledge(delivery, patience).await?;
    }
    Ok(())
}

/// Strangers write what is no frame, too long a frame and half a frame, and stay; many say nothing.
pub(super) async fn hostile<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let noise: Vec<u8> = (0..4000u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let parts: [&[u8]; 8] = [
        b"",
        &[0],
        &[0xff; 4],
        &[0xff; 64],
        &[0; 64],
        b"GET / HTTP/1.1\r\n\r\n",
        &noise,
        &[0, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0, 0, 5],
    ];
    for part in parts.iter().cycle().take(40) {
        if ends.intrude(part).await == Ability::Missing {
            return Err(Verdict::Skipped("strangers cannot write to it"));
        }
    }
    tokio::try_join!(send_all(ends.a(), &reader, 0..100, patience), receive_all(ends.b(), &reader, 0..100, patience)).map(|_| ())
}
