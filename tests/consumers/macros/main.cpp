// After <windows.h> (all of it) and <X11/Xlib.h> with all that comes with it: what they define as macros.
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define near
#define far
#define NEAR near
#define FAR far
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define ERROR 0
#define DELETE 0x10000
#define STRICT 1
#define TRUE 1
#define FALSE 0
#define cdecl
#define pascal
#define small char
#define hyper long long
#define interface struct
#define CreateFile CreateFileA
#define DrawText DrawTextA
#define GetMessage GetMessageA
#define GetObject GetObjectA
#define LoadImage LoadImageA
#define SendMessage SendMessageA
#define Yield()

#define Status int
#define Bool int
#define True 1
#define False 0
#define None 0L
#define Success 0
#define Always 2
#define Opposite 4
#define Above 0
#define Below 1
#define Complex 0
#define Convex 2
#define GrayScale 1
#define KeyPress 2
#define Unsorted 0

#define INLAY_IMPLEMENTATION
#define INLAY_WITH_ALL
#include <inlay.hpp>

Status main() { return None; }  // Xlib's macro is there again
