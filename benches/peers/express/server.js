// The webhook handler most teams would write: Express, the PSP's own library, one transaction.
//
// Verifies, stores the event once, marks its order as paid, answers. Several processes share the
// port. Environment: PORT, DATABASE_URL, WEBHOOK_SECRET, WORKERS.
import cluster from "node:cluster";
import process from "node:process";
import express from "express";
import pg from "pg";
import Stripe from "stripe";

const TABLES = `
  CREATE TABLE IF NOT EXISTS events (id text PRIMARY KEY, type text NOT NULL, body jsonb NOT NULL,
                                     received_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE IF NOT EXISTS orders (reference text PRIMARY KEY, status text NOT NULL,
                                     payment text, paid_at timestamptz)`;

const { PORT, DATABASE_URL, WEBHOOK_SECRET, WORKERS } = process.env;

if (cluster.isPrimary) {
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 1 });
  await pool.query(TABLES);
  await pool.end();
  for (let worker = 0; worker < Number(WORKERS); worker += 1) cluster.fork();
} else {
  const stripe = new Stripe("sk_live_measured_measured_measured");
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 16 });
  const app = express();

  app.post("/webhooks/stripe_nl", express.raw({ type: "application/json" }), async (request, response) => {
    let event;
    try {
      event = stripe.webhooks.constructEvent(request.body, request.headers["stripe-signature"], WEBHOOK_SECRET);
    } catch {
      return response.status(400).json({ error: "signature" });
    }
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      const stored = await client.query(
        "INSERT INTO events (id, type, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        [event.id, event.type, request.body.toString()],
      );
      if (stored.rowCount === 1 && event.type === "payment_intent.succeeded") {
        const payment = event.data.object;
        await client.query(
          `INSERT INTO orders (reference, status, payment, paid_at) VALUES ($1, 'paid', $2, now())
           ON CONFLICT (reference) DO UPDATE SET status = 'paid', payment = $2, paid_at = now()`,
          [payment.metadata.order_reference, payment.id],
        );
      }
      await client.query("COMMIT");
      response.json({ received: true });
    } catch {
      await client.query("ROLLBACK").catch(() => {});
      response.status(500).json({ error: "not stored" });
    } finally {
      client.release();
    }
  });

  app.listen(Number(PORT), "127.0.0.1");
}
