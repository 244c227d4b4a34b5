"""MPEG-2 transport streams (ISO/IEC 13818-1) as bytes: what is wrong with the transport itself."""
