"""The webhook handler most teams would write: FastAPI, asyncpg, the PSP's own library.

Verifies, stores the event once, marks its order as paid, all in one transaction, answers.
Environment: DATABASE_URL, WEBHOOK_SECRET.
"""

import json
import os
from contextlib import asynccontextmanager

import asyncpg
import stripe
from fastapi import FastAPI, HTTPException, Request

TABLES = """
    CREATE TABLE IF NOT EXISTS events (id text PRIMARY KEY, type text NOT NULL, body jsonb NOT NULL,
                                       received_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE IF NOT EXISTS orders (reference text PRIMARY KEY, status text NOT NULL,
                                       payment text, paid_at timestamptz)
"""
# Two workers begin at once, and "IF NOT EXISTS" alone does not keep them apart.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(1)"


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=16)
    async with app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute(ONE_AT_A_TIME)
        await connection.execute(TABLES)
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)
SECRET = os.environ["WEBHOOK_SECRET"]


@app.post("/webhooks/stripe_nl")
async def webhook(request: Request):
    body = (await request.body()).decode()
    try:
        stripe.WebhookSignature.verify_header(
            body, request.headers.get("stripe-signature", ""), SECRET, tolerance=300
        )
        event = json.loads(body)
    except (ValueError, stripe.SignatureVerificationError) as error:
        raise HTTPException(status_code=400, detail="signature") from error
    async with app.state.pool.acquire() as connection, connection.transaction():
        stored = await connection.execute(
            "INSERT INTO events (id, type, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            event["id"], event["type"], body,
        )
        if stored == "INSERT 0 1" and event["type"] == "payment_intent.succeeded":
            payment = event["data"]["object"]
            await connection.execute(
                """INSERT INTO orders (reference, status, payment, paid_at)
                   VALUES ($1, 'paid', $2, now())
                   ON CONFLICT (reference) DO UPDATE SET status = 'paid', payment = $2, paid_at = now()""",
                payment["metadata"]["order_reference"], payment["id"],
            )
    return {"received": True}
