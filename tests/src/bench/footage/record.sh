#!/bin/bash
# record.sh URL FOLDER: records a camera as set-ups without our programs do, with their settings. capssetter is not from there: without it
# GStreamer 1.22 does not start this pipeline, since multipartdemux knows no rate.
set -euo pipefail
FPS=15
BITRATE=1000
SEGMENT_SEC=20

exec gst-launch-1.0 -e \
	souphttpsrc is-live=true location="$1" do-timestamp=true ! \
	multipartdemux ! capssetter caps=image/jpeg,framerate=$FPS/1 ! jpegdec ! \
	videorate drop-only=true max-rate=$FPS ! \
	"video/x-raw,format=I420,framerate=$FPS/1" ! \
	x264enc tune=zerolatency speed-preset=ultrafast bitrate=$BITRATE key-int-max=$((FPS * 3)) byte-stream=true threads=2 ! \
	h264parse config-interval=1 ! \
	"video/x-h264,stream-format=byte-stream,alignment=au" ! \
	splitmuxsink muxer-factory=mpegtsmux location="$2/home-%05d.ts" max-size-time=$((SEGMENT_SEC * 1000000000)) async-finalize=true
