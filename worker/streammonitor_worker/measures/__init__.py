"""What is measured of pictures and sound: once per view, shared by every detector, no opinions.

Pure NumPy and OpenCV. A meter is fed every view of one stream in order and hands out the measures
of that view; what a measure costs is paid by the first detector that asks for it, and by no other.
"""

import cv2

# A worker runs one thread per stream: a pool of OpenCV threads beneath each would only contend.
cv2.setNumThreads(1)
