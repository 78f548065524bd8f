INSERT INTO positions
SELECT device_id, timestamp, latitude, longitude, altitude, accuracy, heading, speed,
    string_to_array(topics, E'\n'), attributes::json, arrival
FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
    $7::float8[], $8::float8[], $9::text[], $10::text[], $11::timestamptz[])
    AS new(device_id, timestamp, latitude, longitude, altitude, accuracy, heading, speed, topics, attributes, arrival)
ON CONFLICT DO NOTHING RETURNING device_id, timestamp
