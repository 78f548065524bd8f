-- Nothing here refers to a row of another table, and every unique key of positions has the time in it, so that positions can be made
-- a TimescaleDB hypertable (docs/cluster.md).

-- A device has one position at one time, so storing it again changes nothing.
CREATE TABLE positions (
    device_id text COLLATE "C" NOT NULL,
    timestamp timestamptz NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    altitude double precision,
    accuracy double precision,
    heading double precision,
    speed double precision,
    topics text[],           -- NULL for none
    attributes json,         -- an object, as it came
    arrival timestamptz,     -- only of positions whose time had not come yet when they arrived: they count as of then
    PRIMARY KEY (device_id, timestamp)
);

-- Finds those that came from the future, which are few where clocks are right.
CREATE INDEX positions_from_the_future ON positions (device_id, arrival, timestamp) WHERE arrival IS NOT NULL;

-- Every device that ever reported: what is read at the start jumps from one to the next instead of through all their positions.
CREATE TABLE devices (
    device_id text COLLATE "C" PRIMARY KEY
);
