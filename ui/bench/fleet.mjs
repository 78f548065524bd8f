// The fleet of the bench: where its devices are, and the view that all of them are in.

/** What every page of the bench shows. */
export const VIEW = { longitude: 8.54, latitude: 47.37, zoom: 12 };
/** The size of the window, CSS pixels. */
export const WINDOW = { width: 1280, height: 800 };

/** Degrees from the middle of the view to the edges of the box that devices stay in: well inside the map, beside the panel. */
const REACH = { longitude: 0.07, latitude: 0.035 };
const METRES_PER_DEGREE = 111_320;

/** Devices that drive straight on, turn now and then, and turn back at the edges of their box. */
export class Moving {
  #devices;

  constructor(count) {
    this.#devices = Array.from({ length: count }, (_, index) => ({
      id: `car-${index + 1}`,
      longitude: VIEW.longitude + (Math.random() * 2 - 1) * REACH.longitude, latitude: VIEW.latitude + (Math.random() * 2 - 1) * REACH.latitude,
      heading: Math.random() * 360, speed: 5 + Math.random() * 15,
    }));
  }

  /** Moves those from `first` on by so many seconds, and gives them as a body of `POST /positions`. */
  move(first, count, seconds) {
    const timestamp = new Date().toISOString();
    return JSON.stringify(this.#devices.slice(first, first + count).map((device) => {
      step(device, seconds);
      return {
        device_id: device.id, timestamp, latitude: rounded(device.latitude, 6), longitude: rounded(device.longitude, 6),
        accuracy: 5, heading: rounded(device.heading, 1), speed: rounded(device.speed, 1), attributes: { battery: 0.8 },
      };
    }));
  }
}

function step(device, seconds) {
  if (Math.random() < 0.05) device.heading = (device.heading + Math.random() * 180 + 270) % 360;
  const radians = (device.heading * Math.PI) / 180, way = (device.speed * seconds) / METRES_PER_DEGREE;
  const latitude = device.latitude + way * Math.cos(radians);
  const longitude = device.longitude + (way * Math.sin(radians)) / Math.cos((latitude * Math.PI) / 180);
  if (Math.abs(latitude - VIEW.latitude) > REACH.latitude || Math.abs(longitude - VIEW.longitude) > REACH.longitude) {
    device.heading = (device.heading + 180) % 360;
    return;
  }
  Object.assign(device, { latitude, longitude });
}

const rounded = (value, decimals) => Math.round(value * 10 ** decimals) / 10 ** decimals;
