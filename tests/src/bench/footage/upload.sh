#!/bin/bash
# upload.sh CAMERA FOLDER BUCKET ENDPOINT RATE: uploads a camera's recordings as set-ups without our programs do, at RATE KiB/s.
set -euo pipefail

while true; do
	shopt -s nullglob
	for f in "$2"/*.ts "$2"/*.mp4; do
		[ -e "$f" ] || continue

		# skip files still open or too fresh
		lsof -t -- "$f" >/dev/null 2>&1 && continue
		now=$(date +%s)
		mtime=$(stat -c %Y "$f")
		((now - mtime < 5)) && continue

		size=$(stat -c %s "$f")
		Y=$(TZ=Asia/Kolkata date -d "@$mtime" +%Y)
		M=$(TZ=Asia/Kolkata date -d "@$mtime" +%m)
		D=$(TZ=Asia/Kolkata date -d "@$mtime" +%d)
		h=$(TZ=Asia/Kolkata date -d "@$mtime" +%H)
		m=$(TZ=Asia/Kolkata date -d "@$mtime" +%M)
		s=$(TZ=Asia/Kolkata date -d "@$mtime" +%S)
		key="$1/$Y/$M/$D/$h/cam_${1#cam}_${Y}_${M}_${D}_${h}_${m}_${s}.${f##*.}"

		pv -q -L "$5K" -- "$f" |
			/usr/bin/aws --profile b2 --endpoint-url "$4" s3 cp --only-show-errors - "s3://$3/$key" --expected-size "$size" ||
			echo "upload FAIL key=$key"
		rm -f -- "$f" || true
	done
	sleep 2
done
